"""Where the measurements are kept: one JSON file a run in tests/bench/results/."""

import datetime
import json
import os
import platform
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEER = "llama.cpp of llama-cpp-python 0.3.36"


def say(text):
    print(text, file=sys.stderr, flush=True)


def number(value, form):
    return form % value if value is not None else "-"


def cpu_name():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())


def write(kind, fields):
    """KIND_<UTC time>.json: when, on what, against what, and `fields`."""
    now = datetime.datetime.now(datetime.timezone.utc)
    folder = os.path.join(ROOT, "tests", "bench", "results")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{kind}_{now:%Y%m%d_%H%M%S}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"when": now.isoformat(timespec="seconds"), "cpu": cpu_name(), "peer": PEER, **fields}, file, indent=1)
        file.write("\n")
    say(f"written: {os.path.relpath(path)}")

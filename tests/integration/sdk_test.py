"""The openai Python SDK against one process and against four. Needs TROUPE_PYTHON (an interpreter that has the SDK)."""
import os
import pathlib
import subprocess
import sys

import harness


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    python = os.environ.get("TROUPE_PYTHON", os.path.join(cache, "troupe", "venv", "bin", "python"))
    if not os.path.exists(python):
        print(f"skipped: no interpreter with the openai package at {python}")
        sys.exit(harness.SKIP)
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = pathlib.Path(__file__).with_name("openai_sdk_check.py")
    for start in (harness.serve, harness.cluster):
        with start("--kv-bytes", "512MiB", model=model) as server:
            subprocess.run([python, str(script), f"http://127.0.0.1:{server.port}/v1"], check=True, timeout=240)


main()

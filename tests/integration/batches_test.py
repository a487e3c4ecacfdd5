"""Files and batches as the openai client uses them, on a gateway that is killed in the middle: every line is answered once.

    batches_test.py [--lines 2000 --kills 5]

Needs TROUPE_PYTHON, an interpreter that has the client.
"""
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
    script = pathlib.Path(__file__).with_name("batches_check.py")
    subprocess.run([python, str(script), "--model", model, *sys.argv[1:]], check=True)


main()

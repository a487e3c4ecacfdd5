"""Fields that clients of vLLM and llama.cpp send, on a real model, by a client nobody here wrote: openai.

Needs TROUPE_PYTHON, an interpreter that has it.
"""
import os
import pathlib
import subprocess
import sys

import harness


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    python = os.environ.get("TROUPE_PYTHON", os.path.join(cache, "troupe", "venv", "bin", "python"))
    has_it = [python, "-c", "import openai"]
    if not os.path.exists(python) or subprocess.run(has_it, stderr=subprocess.DEVNULL).returncode != 0:
        print(f"skipped: no interpreter with openai at {python}")
        sys.exit(harness.SKIP)
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = str(pathlib.Path(__file__).with_name("fields_check.py"))
    with harness.serve("--kv-bytes", "512MiB", model=model) as server:
        subprocess.run([python, script, f"http://127.0.0.1:{server.port}/v1"], check=True, timeout=100)


main()

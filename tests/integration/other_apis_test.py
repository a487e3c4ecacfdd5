"""The APIs of Anthropic and Ollama through their own clients, which nobody here wrote, against one server.

Needs TROUPE_PYTHON, an interpreter that has anthropic, ollama and jsonschema.
"""
import os
import pathlib
import subprocess
import sys

import harness


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    python = os.environ.get("TROUPE_PYTHON", os.path.join(cache, "troupe", "venv", "bin", "python"))
    has_all = [python, "-c", "import anthropic, jsonschema, ollama"]
    if not os.path.exists(python) or subprocess.run(has_all, stderr=subprocess.DEVNULL).returncode != 0:
        print(f"skipped: no interpreter with anthropic, ollama and jsonschema at {python}")
        sys.exit(harness.SKIP)
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    with harness.serve("--kv-bytes", "512MiB", model=model) as server:
        for check in ("anthropic_check.py", "ollama_check.py"):
            script = str(pathlib.Path(__file__).with_name(check))
            subprocess.run([python, script, f"http://127.0.0.1:{server.port}"], check=True, timeout=140)


main()

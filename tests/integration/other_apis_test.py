"""The APIs of Anthropic and Ollama through their own clients, which nobody here wrote, against one server.

Needs TROUPE_PYTHON, an interpreter that has anthropic, ollama and jsonschema.
"""
import pathlib
import subprocess

import harness


def main():
    python = harness.need_interpreter("anthropic", "jsonschema", "ollama")
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    with harness.serve("--kv-bytes", "512MiB", model=model) as server:
        for check in ("anthropic_check.py", "ollama_check.py"):
            script = str(pathlib.Path(__file__).with_name(check))
            subprocess.run([python, script, f"http://127.0.0.1:{server.port}"], check=True, timeout=140)


main()

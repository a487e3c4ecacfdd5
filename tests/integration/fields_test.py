"""Fields that clients of vLLM and llama.cpp send, on a real model, by a client nobody here wrote: openai.

Needs TROUPE_PYTHON, an interpreter that has it.
"""
import pathlib
import subprocess

import harness


def main():
    python = harness.need_interpreter("openai")
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = str(pathlib.Path(__file__).with_name("fields_check.py"))
    with harness.serve("--kv-bytes", "512MiB", model=model) as server:
        subprocess.run([python, script, f"http://127.0.0.1:{server.port}/v1"], check=True, timeout=100)


main()

"""The openai Python SDK against one process and against four. Needs TROUPE_PYTHON (an interpreter that has the SDK)."""
import pathlib
import subprocess

import harness


def main():
    python = harness.need_interpreter("openai")
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = pathlib.Path(__file__).with_name("openai_sdk_check.py")
    for start in (harness.serve, harness.cluster):
        with start("--kv-bytes", "512MiB", model=model) as server:
            subprocess.run([python, str(script), f"http://127.0.0.1:{server.port}/v1"], check=True, timeout=240)


main()

"""Vectors of a decoder and of MiniLM, asked for by a client nobody here wrote (openai).

Needs TROUPE_PYTHON, an interpreter that has openai. Without MiniLM in the cache (troupe models pull all-minilm-l6-v2) it is left out.
"""
import pathlib
import subprocess

import harness
from harness import check, metric

DECODER, ENCODER = "smollm2-135m-instruct", "all-minilm-l6-v2"


def main():
    python = harness.need_interpreter("openai")
    models, names = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf"), [DECODER]
    encoder = harness.models_folder() / "all-MiniLM-L6-v2" / "model.safetensors"
    if encoder.exists():
        models, names = f"{models},{encoder}", [DECODER, ENCODER]
    else:
        print(f"without MiniLM: {encoder} is absent")
    script = str(pathlib.Path(__file__).with_name("embeddings_check.py"))
    with harness.serve("--kv-bytes", "256MiB", model=models) as server:
        subprocess.run([python, script, f"http://127.0.0.1:{server.port}/v1", *names], check=True, timeout=200)
        tokens = metric(server.port, "troupe_gateway_prompt_tokens_total")
        check(tokens > 1000, f"tokens of prompts were counted: {tokens}")
        check(server.stop() == 0, "serve did not end cleanly")


main()

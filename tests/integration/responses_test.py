"""/v1/responses as clients nobody here wrote use it, openai and langchain: two gateways that share a Redis, one worker, a real model.

Needs TROUPE_PYTHON, an interpreter that has an openai with responses; langchain-openai is driven where it is there.
"""
import contextlib
import pathlib
import subprocess
import urllib.request

import harness


def is_ready(port):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10).status == 200
    return False


def main():
    python = harness.need_interpreter("openai.types.responses")
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = str(pathlib.Path(__file__).with_name("responses_check.py"))
    with harness.Redis() as redis:
        shared = {"cluster": {"directory": f"redis://127.0.0.1:{redis.port}"}}
        with harness.cluster("--kv-bytes", "512MiB", model=model, prefill=0, gateways=2, options=shared) as server:
            harness.eventually(lambda: is_ready(server.gateways[1]), "the second gateway is ready")
            urls = [f"http://127.0.0.1:{port}/v1" for port in server.gateways]
            subprocess.run([python, script, *urls], check=True, timeout=150)


main()

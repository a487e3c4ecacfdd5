"""A prefill worker with 8-bit KV pages and a decode worker with f16 ones. By default the prompt is computed where it is decoded
and answers are those of one process; with `disagg.convert: lossy` the pages cross, are converted, and the answer says so."""
import json

import harness
from harness import check, eventually, metric

PROMPT = "The quick brown fox jumps over the lazy dog and runs away. " * 40


def ask(server, model, tokens=16):
    status, reply = server.post("/v1/completions", {"model": model, "prompt": PROMPT, "max_tokens": tokens, "temperature": 0})
    check(status == 200, f"{status}: {reply}")
    return reply["choices"][0]["text"], reply.get("lossy", [])


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    small = ["--kv-bytes", "256MiB", "--engine-threads", "1"]
    with harness.serve(*small, model=model_file) as server:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        expected, said = ask(server, model)
        check(said == [], f"one process converts nothing: {said}")

    flags = [*small, "--router-policy", "load_and_prefix", "--disagg-min-prompt-tokens", "128"]
    for mode in ["exact", "lossy"]:
        with harness.cluster(*flags, "--disagg-convert", mode, model=model_file,
                             own={"prefill-0": {"kv": {"codec": "int8"}}}) as server:
            ports = server.metrics
            eventually(lambda: metric(ports["router"], "troupe_router_ready_nodes") == 3, "a decoder, a prefiller, a gateway")
            text, said = ask(server, model)
            lossy = metric(ports["decode-0"], "troupe_worker_imports_lossy_total", required=True)
            if mode == "exact":
                check(text == expected, "exact: the answer of one process")
                check(said == [] and lossy == 0, f"nothing was converted: {said}, {lossy}")
                check(metric(ports["prefill-0"], "troupe_worker_prompt_tokens_total") == 0, "the prefill worker was left alone")
                continue
            eventually(lambda: metric(ports["decode-0"], "troupe_worker_imports_lossy_total") == 1, "the pages were converted")
            check(said == ["kv-convert"], f"the answer says so: {said}")
            check(len(text) > 0, "an answer came")
            computed = metric(ports["decode-0"], "troupe_worker_prompt_tokens_total")
            check(computed <= 64, f"the decode worker computed the end of the prompt only: {computed}")


main()

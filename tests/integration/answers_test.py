"""The main job, as a user meets it: SmolLM2 answers over HTTP, in one process and in four, and KV pages cross ZeroMQ."""
import json

import harness
from harness import check

QUESTION = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0, "max_tokens": 40}


def ask(server, **extra):
    status, answer = server.post("/v1/chat/completions", {"model": server.model, **QUESTION, **extra})
    check(status == 200, f"{status}: {answer}")
    return answer


def check_answers(server):
    status, models = server.request("GET", "/v1/models")
    check(status == 200, models)
    server.model = json.loads(models)["data"][0]["id"]
    answer = ask(server)
    text = answer["choices"][0]["message"]["content"]
    print("answer:", text)
    check("Paris" in text, f"no Paris in {text!r}")
    check(answer["usage"]["prompt_tokens"] == 37, answer["usage"])
    check(ask(server)["choices"][0]["message"]["content"] == text, "greedy answers differ")
    return text


def long_prompt(server):
    body = {"model": server.model, "prompt": "The quick brown fox jumps over the lazy dog. " * 80, "max_tokens": 24, "temperature": 0}
    status, answer = server.post("/v1/completions", body)
    check(status == 200, answer)
    return answer["choices"][0]["text"]


def main():
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    with harness.serve("--kv-bytes", "512MiB", "--engine-numerics", "reference", model=model) as server:
        text = check_answers(server)
        check(text == "The capital of France is Paris.", f"the reference path says {text!r}, the oracle another sentence")
    with harness.serve("--kv-bytes", "512MiB", model=model) as server:
        one = check_answers(server)
        one_long = long_prompt(server)
        check(server.stop() == 0, "serve did not end cleanly")
    with harness.cluster("--kv-bytes", "512MiB", model=model) as server:
        roles = [open(f"/proc/{pid}/cmdline").read().split("\0")[1] for pid in server.descendants()]
        check(sorted(roles) == ["decode", "gateway", "prefill", "router", "up"], roles)
        check(check_answers(server) == one, "four processes answer differently from one")
        check(long_prompt(server) == one_long, "a transferred prompt answers differently")
        sent = harness.metric(server.metrics["prefill-0"], "troupe_worker_transfer_sent_bytes_total")
        received = harness.metric(server.metrics["decode-0"], "troupe_worker_transfer_received_bytes_total")
        print(f"KV bytes over ZeroMQ: {sent:.0f} sent, {received:.0f} received")
        check(sent > 0 and received == sent, "no KV pages crossed ZeroMQ")
        check(server.stop() == 0, "up did not end cleanly")


main()

"""Two models in one cluster of four processes: `model` chooses, caches stay apart, a base model has no chat."""
import json

import harness
from harness import check


def complete(server, model, prompt, expected_status=200):
    body = {"model": model, "prompt": prompt, "max_tokens": 12, "temperature": 0}
    status, answer = server.post("/v1/completions", body)
    check(status == expected_status, f"{status}: {answer}")
    return answer


def answers(server, names):
    out = {}
    for name in names:
        first = complete(server, name, "The capital of France is Paris, and the capital of Germany is")
        check(first["model"] == name, first["model"])
        out[name] = first["choices"][0]["text"]
    return out


def main():
    smol = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    gemma = harness.need_model("gemma-3-270m.Q4_K_M.gguf")
    names, both = ["smol", "gemma"], f"smol={smol},gemma={gemma}"
    with harness.serve("--kv-bytes", "256MiB", model=both) as server:
        one = answers(server, names)
        check(server.stop() == 0, "serve did not end cleanly")
    with harness.cluster("--kv-bytes", "256MiB", model=both) as server:
        status, listed = server.get("/v1/models")
        check(status == 200 and sorted(m["id"] for m in json.loads(listed)["data"]) == sorted(names), listed)
        four = answers(server, names)
        print(four)
        check(four == one, "four processes answer differently from one")
        check(all("Berlin" in text for text in four.values()), f"no Berlin in {four}")
        chat = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0, "max_tokens": 20}
        status, answer = server.post("/v1/chat/completions", {"model": "smol", **chat})
        check(status == 200 and "Paris" in answer["choices"][0]["message"]["content"], answer)
        status, answer = server.post("/v1/chat/completions", {"model": "gemma", **chat})
        if status != 200:  # a base model: its file carries no template
            check(status == 400 and "/v1/completions" in answer["error"]["message"], answer)
        check(complete(server, "other", "x", 404)["error"]["code"] == "model_not_found", "an unknown model is named")
        # The same long prompt to both: each prefills it once, and finds its own pages the second time.
        long_text = "One two three four five six seven eight nine ten. " * 40
        for name in names:
            cold, warm = (complete(server, name, long_text)["usage"] for _ in range(2))
            check(cold["prompt_tokens_details"]["cached_tokens"] < 64, (name, cold))
            check(warm["prompt_tokens_details"]["cached_tokens"] >= warm["prompt_tokens"] - 64, (name, warm))
        check(server.stop() == 0, "up did not end cleanly")


main()

"""Beam search by real processes on a real model: hypotheses have the scores that the model gives their tokens one by one, company
and a worker's death change nothing, a stream brings the same at its end, and groups are diverse."""
import concurrent.futures
import json
import os
import signal
import threading

import harness
from harness import check, eventually, metric, pid_of

PROMPT = "The three most important inventions of the last century are"


def body_of(model, **fields):
    return {"model": model, "prompt": PROMPT, "max_tokens": 24, "n": 4, "troupe": {"beam": {"width": 4}, "token_ids": True}, **fields}


def search(server, body, path="/v1/completions"):
    status, answer = server.post(path, body)
    check(status == 200, f"{status}: {answer}")
    return answer


def found(answer):
    return [(choice["troupe"]["token_ids"], choice["troupe"]["score"], choice["finish_reason"]) for choice in answer["choices"]]


def scored(server, model, prompt, ids):
    """What the model says of `ids` after the prompt, read as one text and token by token."""
    status, answer = server.post("/v1/completions", {"model": model, "prompt": prompt + ids, "max_tokens": 0, "echo": True, "logprobs": 0})
    check(status == 200, f"{status}: {answer}")
    return sum(answer["choices"][0]["logprobs"]["token_logprobs"][len(prompt):]) / len(ids)


def check_scores(server, model):
    prompt = server.post("/tokenize", {"model": model, "prompt": PROMPT})[1]["tokens"]
    answer = search(server, body_of(model, prompt=prompt))
    check("beam-search" in answer["lossy"], f"the answer does not say how it was chosen: {answer['lossy']}")
    scores = [score for _, score, _ in found(answer)]
    check(scores == sorted(scores, reverse=True) and len({tuple(ids) for ids, _, _ in found(answer)}) == 4, f"four hypotheses, best first: {scores}")
    for ids, score, _ in found(answer):
        check(abs(score - scored(server, model, prompt, ids)) < 1e-3, f"{score} is not what the model says of {ids}")
    greedy = search(server, {"model": model, "prompt": prompt, "max_tokens": 24, "temperature": 0, "troupe": {"token_ids": True}})
    alone = scored(server, model, prompt, greedy["choices"][0]["troupe"]["token_ids"])
    check(scores[0] >= alone - 1e-3, f"the best of four beams has {scores[0]}, greedy decoding {alone}")
    narrow = search(server, body_of(model, prompt=prompt, n=1, troupe={"beam": {"width": 1}, "token_ids": True}))
    check(narrow["choices"][0]["text"] == greedy["choices"][0]["text"], "one beam is greedy decoding")


def check_groups(server, model):
    beam = {"width": 4, "groups": 4, "diversity_penalty": 1.5, "early_stopping": True}
    messages = [{"role": "user", "content": "Name a colour."}]
    answer = search(server, {"model": model, "messages": messages, "max_tokens": 16, "n": 4, "troupe": {"beam": beam}}, "/v1/chat/completions")
    texts = [choice["message"]["content"] for choice in answer["choices"]]
    check(len({text.split()[0] for text in texts}) == 4, f"groups begin with words of their own: {texts}")


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    small = ["--kv-bytes", "512MiB", "--engine-threads", "1"]
    with harness.serve(*small, "--speculation-drafter", "auto", model=model_file) as server:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        check_scores(server, model)
        check_groups(server, model)
        expected = search(server, body_of(model))
        long_body = body_of(model, max_tokens=120)
        expected_long = search(server, long_body)
        streams = [{"model": model, "prompt": f"Story {i}.", "max_tokens": 40, "seed": i} for i in range(4)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            company = [pool.submit(search, server, body) for body in streams]
            crowded = [pool.submit(search, server, body_of(model)) for _ in range(2)]
            check(all(found(f.result()) == found(expected) for f in crowded), "company changes a search")
            check(all(f.result()["choices"][0]["text"] for f in company), "streams go on beside searches")
        text, reason = harness.stream(server, body_of(model, n=1))
        check(text == expected["choices"][0]["text"] and reason == expected["choices"][0]["finish_reason"], "a stream brings something else")
        check(metric(server.port, "troupe_worker_beam_searches_total", required=True) >= 8, "searches are counted")
        check(server.stop() == 0, "serve drains and ends with 0")

    with harness.cluster(*small, model=model_file, decode=2) as server:
        decoders = ["decode-0", "decode-1"]
        eventually(lambda: metric(server.metrics["router"], "troupe_router_ready_nodes") == 4, "two decoders, a prefiller, a gateway")
        answers = []
        asked = threading.Thread(target=lambda: answers.append(search(server, long_body)))
        asked.start()
        busy = lambda: [n for n in decoders if metric(server.metrics[n], "troupe_worker_streams_running") > 0]  # noqa: E731
        eventually(busy, "a worker searches")
        os.kill(pid_of(server, "decode", server.metrics[busy()[0]]), signal.SIGKILL)
        asked.join(120)
        check(len(answers) == 1 and found(answers[0]) == found(expected_long), "a search whose worker died ends as another")


main()

"""Superposed Decoding by real processes on a real model: one draft without n-grams is greedy decoding, first tokens are the model's
best, forwards do not grow with drafts, company and a text of n-grams, and a stream brings the same at its end."""
import concurrent.futures
import json
import pathlib
import tempfile

import harness
from harness import check, metric

PROMPTS = ["The three most important inventions of the last century are", "Dear Sir or Madam, I am writing to", "def read_lines(path):\n    with open(",
           "In the beginning there was", "Le chat est assis sur"]


def body_of(model, prompt, n, tokens, **superposed):
    return {"model": model, "prompt": prompt, "max_tokens": tokens, "n": n,
            "troupe": {"decoding": "superposed", "superposed": superposed, "token_ids": True}}


def ask(server, body, path="/v1/completions"):
    status, answer = server.post(path, body)
    check(status == 200, f"{status}: {answer}")
    return answer


def ids(answer):
    return [choice["troupe"]["token_ids"] for choice in answer["choices"]]


def told(answer):
    return [(choice["text"], choice["troupe"]["token_ids"], choice["troupe"]["score"], choice["finish_reason"]) for choice in answer["choices"]]


def check_greedy(server, model):
    for prompt in PROMPTS:
        greedy = ask(server, {"model": model, "prompt": prompt, "max_tokens": 20, "temperature": 0, "troupe": {"token_ids": True}})
        one = ask(server, body_of(model, prompt, 1, 20, alpha=0))
        check(ids(one) == ids(greedy) and one["choices"][0]["text"] == greedy["choices"][0]["text"], f"one draft is greedy decoding: {prompt}")
        check(one["choices"][0]["finish_reason"] == greedy["choices"][0]["finish_reason"], "and ends as it does")
        check(one["lossy"] == ["superposed-decoding"], f"the answer does not say how it was made: {one}")


def check_first_tokens(server, model):
    for prompt in PROMPTS:
        best = ask(server, {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": 5})
        expected = list(best["choices"][0]["logprobs"]["top_logprobs"][0])
        drafts = ask(server, body_of(model, prompt, 4, 1, alpha=0))
        texts = [choice["text"] for choice in drafts["choices"]]
        check(texts == expected[:4], f"{texts} are not the best of {expected}")


def check_forwards(server, model):
    """An answer of 20 tokens has 19 rows behind its prompt."""
    rows = []
    for n in (1, 3, 10):
        before = metric(server.port, "troupe_worker_blended_rows_total", required=True)
        answer = ask(server, body_of(model, "It was the best of times, it was the", n, 20))
        check(len({tuple(one) for one in ids(answer)}) == n, f"{n} different drafts: {ids(answer)}")
        scores = [choice["troupe"]["score"] for choice in answer["choices"]]
        check(scores == sorted(scores, reverse=True), f"best first: {scores}")
        longest = max(len(one) for one in ids(answer))
        rows.append(metric(server.port, "troupe_worker_blended_rows_total") - before)
        check(rows[-1] <= 19 and rows[-1] >= longest - 1, f"{rows[-1]} rows for {n} drafts of {longest} tokens")


def check_company(server, model):
    expected = [told(ask(server, body_of(model, prompt, 3, 16))) for prompt in PROMPTS]
    streams = [{"model": model, "prompt": f"Story {i}.", "max_tokens": 40, "seed": i} for i in range(4)]
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        company = [pool.submit(ask, server, body) for body in streams]
        crowded = [pool.submit(ask, server, body_of(model, prompt, 3, 16)) for prompt in PROMPTS]
        check([told(f.result()) for f in crowded] == expected, "company changes drafts")
        check(all(f.result()["choices"][0]["text"] for f in company), "streams go on beside drafts")
    text, reason = harness.stream(server, {**body_of(model, PROMPTS[0], 1, 16), "troupe": {"decoding": "superposed"}})
    one = ask(server, body_of(model, PROMPTS[0], 1, 16))["choices"][0]
    check(text == one["text"] and reason == one["finish_reason"], "a stream brings something else")
    return expected


def check_preset(server, model):
    body = {"model": model, "prompt": PROMPTS[3], "max_tokens": 24, "seed": 7, "troupe": {"preset": "sharpened", "token_ids": True}}
    named = ask(server, body)
    by_hand = ask(server, {**body, "troupe": {"token_ids": True}, "temperature": 0.5, "min_p": 0.01, "dry_multiplier": 0.8})
    check(ids(named) == ids(by_hand), "the preset is what its fields are")
    check(named["lossy"] == ["sharpened-sampling"] and "lossy" not in by_hand, f"{named}")


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    small = ["--kv-bytes", "256MiB", "--engine-threads", "1"]
    with harness.serve(*small, "--speculation-drafter", "auto", model=model_file) as server:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        check_greedy(server, model)
        check_first_tokens(server, model)
        check_forwards(server, model)
        without = check_company(server, model)
        check_preset(server, model)
        check(server.stop() == 0, "serve drains and ends with 0")
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder) / "text.txt"
        text.write_text((PROMPTS[0] + " the wheel, the wheel and the wheel.\n") * 3)
        with harness.serve(*small, "--superposed-text", str(text), model=model_file) as server:
            smoothed = ask(server, body_of(model, PROMPTS[0], 3, 4, candidates=128, temperature=1))
            check(any(choice["text"].startswith(" the wheel") for choice in smoothed["choices"]), f"the text's n-grams are heard: {told(smoothed)}")
            check(told(smoothed) != without[0], "and change something")
            check(server.stop() == 0, "serve drains and ends with 0")


main()

"""A real model, drafted for by everybody in turn: answers, streams, stop strings and log-probabilities are those of plain decoding,
greedy and seeded, alone and side by side. Some drafts come true, and usage and metrics say so."""
import concurrent.futures
import json
import re

import harness
from harness import check

DRAFTERS = ["auto", "prompt-lookup", "suffix-automaton", "input-copy", "token-recycling"]
PROMPTS = [
    "Repeat this exactly: The quick brown fox jumps over the lazy dog, and the lazy dog sleeps in the sun all day long.",
    "Write a JSON array of four people. Each has the keys name, age, city.",
    "Write a Python function that adds all numbers of a list.",
    "What is the difference between weather and climate?",
]


def bodies(model):
    for i, prompt in enumerate(PROMPTS):
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 60, "seed": i}
        yield body | {"temperature": 0}
        yield body | {"temperature": 0.8, "top_p": 0.9, "logprobs": True, "top_logprobs": 2, "frequency_penalty": 0.4}
        yield body | {"temperature": 0.7, "top_k": 40, "stop": ["the", "\n\n"]}


def ask(server, body, drafter):
    status, answer = server.post("/v1/chat/completions", body | {"troupe": {"speculation": {"drafter": drafter}}})
    check(status == 200, f"{status}: {answer}")
    return answer


def said(answer):
    choice = answer["choices"][0]
    return json.dumps([choice["message"]["content"], choice["finish_reason"], choice["logprobs"], answer["usage"]["completion_tokens"]])


def streamed(server, body, drafter):
    status, text = server.request("POST", "/v1/chat/completions", body | {"stream": True, "troupe": {"speculation": {"drafter": drafter}}})
    check(status == 200, text)
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])


def check_marks(server, body, drafter):
    """A stream says of each token whether it was drafted: as many as its usage counts, and of the same text."""
    body = body | {"stream": True, "stream_options": {"include_usage": True}, "logprobs": True,
                   "troupe": {"drafted": True, "speculation": {"drafter": drafter}}}
    text = server.request("POST", "/v1/chat/completions", body)[1]
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    marks = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            entries = (choice["logprobs"] or {}).get("content", [])
            check(len(choice.get("troupe", {}).get("drafted", [])) == len(entries), f"marks and entries of {choice}")
            marks += choice.get("troupe", {}).get("drafted", [])
    accepted = chunks[-1]["usage"].get("completion_tokens_details", {}).get("accepted_prediction_tokens", 0)
    check(accepted - 1 <= sum(marks) <= accepted and accepted > 0, f"{sum(marks)} marks, {accepted} guesses came true (one may be an end token)")
    return "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    port = harness.free_port()
    server = harness.Server(["serve", "--model", model_file, "--http-port", str(port)], port)
    try:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        requests = list(bodies(model))
        plain = [ask(server, body, "off") for body in requests]
        check(all("completion_tokens_details" not in answer["usage"] for answer in plain), "plain decoding reports drafts")
        accepted = 0
        for drafter in DRAFTERS:
            with concurrent.futures.ThreadPoolExecutor(1 if drafter == "auto" else 6) as pool:
                drafted = list(pool.map(lambda body: ask(server, body, drafter), requests))
            for body, answer, expected in zip(requests, drafted, plain):
                check(said(answer) == said(expected), f"{drafter} changed the answer to {body}:\n{said(answer)}\n{said(expected)}")
                accepted += answer["usage"].get("completion_tokens_details", {}).get("accepted_prediction_tokens", 0)
        check(accepted > 0, "no draft ever came true")
        for body, expected in list(zip(requests, plain))[:3]:
            check(streamed(server, body, "auto") == expected["choices"][0]["message"]["content"], f"the stream of {body} differs")
        check(check_marks(server, requests[0], "prompt-lookup") == plain[0]["choices"][0]["message"]["content"], "marks change the answer")
        status, refused = server.post("/v1/chat/completions", requests[0] | {"troupe": {"speculation": {"drafter": "oracle"}}})
        check(status == 400 and "prompt-lookup" in refused["error"]["message"], f"{status}: {refused}")
        metrics = server.request("GET", "/metrics")[1]
        counted = sum(float(value) for value in re.findall(r"^troupe_worker_draft_accepted_total\{.*\} (\S+)$", metrics, re.M))
        check(counted >= accepted, f"metrics count {counted} accepted guesses, answers {accepted}")
    finally:
        server.kill()
    print(f"{len(requests) * (len(DRAFTERS) + 1)} answers equal, {accepted} guesses came true")


if __name__ == "__main__":
    main()

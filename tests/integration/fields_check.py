#!/usr/bin/env python3
"""Sends the fields of vLLM's and llama.cpp's clients with the openai client: fields_check.py URL."""
import json
import sys
import urllib.request

import openai

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
LIST = "one two three one two three one two three one two"


class Asker:
    def __init__(self, url):
        self.url = url
        self.client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)
        self.model = next(iter(self.client.models.list())).id

    def chat(self, messages=QUESTION, max_tokens=32, temperature=0, extra=None, **more):
        return self.client.chat.completions.create(model=self.model, messages=messages, max_tokens=max_tokens,
                                                   temperature=temperature, extra_body=extra, **more)

    def text(self, prompt, max_tokens=24, temperature=0, extra=None, **more):
        return self.client.completions.create(model=self.model, prompt=prompt, max_tokens=max_tokens,
                                              temperature=temperature, extra_body=extra, **more)

    def tokenize(self, **body):
        request = urllib.request.Request(self.url.removesuffix("/v1") + "/tokenize",
                                         json.dumps({"model": self.model, **body}).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]


def said(answer):
    return answer.choices[0].message.content


def check_rules(asker):
    free = asker.chat()
    assert "Paris" in said(free) and free.choices[0].finish_reason == "stop", free
    forbidden = asker.chat(extra={"bad_words": ["Paris"]})
    assert "Paris" not in said(forbidden), forbidden
    long = asker.chat(max_tokens=60, extra={"min_tokens": 60})
    assert long.usage.completion_tokens == 60 and said(long).startswith(said(free)), long
    ids = asker.tokenize(prompt="yes", add_special_tokens=False) + asker.tokenize(prompt="no", add_special_tokens=False)
    held = asker.chat(max_tokens=8, temperature=1, seed=3, extra={"allowed_token_ids": ids, "troupe": {"token_ids": True}})
    assert set(held.choices[0].model_extra["troupe"]["token_ids"]) <= set(ids), held
    stopped = asker.chat(extra={"stop_token_ids": [asker.tokenize(prompt=" is", add_special_tokens=False)[0]]})
    assert stopped.usage.completion_tokens < free.usage.completion_tokens, stopped


def check_shown(asker):
    free = said(asker.chat())
    cut = said(asker.chat(stop=["Paris"]))
    kept = said(asker.chat(stop=["Paris"], extra={"include_stop_str_in_output": True}))
    assert free.startswith(kept) and kept == cut + "Paris", (free, cut, kept)
    ended = said(asker.chat(extra={"skip_special_tokens": False, "include_stop_str_in_output": True}))
    assert ended == free + "<|im_end|>", ended


def check_best_of(asker):
    options = {"temperature": 1, "seed": 11, "max_tokens": 12}
    each = asker.text("My favourite animal is", n=5, logprobs=0, **options)
    means = [sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs) for choice in each.choices]
    ranked = sorted(range(5), key=lambda i: -means[i])
    best = asker.text("My favourite animal is", n=2, best_of=5, **options)
    assert [choice.text for choice in best.choices] == [each.choices[i].text for i in ranked[:2]], (means, best)
    assert best.usage.completion_tokens == each.usage.completion_tokens


def check_prediction(asker):
    question = [{"role": "user", "content": "Count from one to fifteen in words, separated by commas."}]
    plain = asker.chat(question, max_tokens=64)
    guessed = asker.chat(question, max_tokens=64, prediction={"type": "content", "content": said(plain)})
    assert said(guessed) == said(plain), (plain, guessed)
    wrong = asker.chat(question, max_tokens=64, prediction={"type": "content", "content": "Nothing of the kind."})
    assert said(wrong) == said(plain), (plain, wrong)
    print("prediction:", guessed.usage.completion_tokens_details)


def check_continuation(asker):
    begun = QUESTION + [{"role": "assistant", "content": "The capital of France, as"}]
    ids = asker.tokenize(messages=begun, continue_final_message=True)
    answer = asker.chat(begun, extra={"continue_final_message": True})
    assert said(answer) == asker.text(ids, max_tokens=32).choices[0].text, answer
    assert not said(answer).startswith("The capital"), answer


def check_tier(asker):
    for asked, told in (("auto", "default"), ("flex", "flex"), ("priority", "priority")):
        answer = asker.chat(max_tokens=1, service_tier=asked, store=True, metadata={"a": "b"})
        assert answer.service_tier == told, answer


def check_prompt_logprobs(asker):
    prompt = "The sky is blue and the grass is"
    asker.text(prompt)  # it is cached now, and must be computed again
    echoed = asker.text(prompt, max_tokens=1, echo=True, logprobs=2).choices[0].logprobs
    answer = asker.text(prompt, max_tokens=1, extra={"prompt_logprobs": 2})
    scores = answer.choices[0].model_extra["prompt_logprobs"]
    ids = asker.tokenize(prompt=prompt)
    assert len(scores) == len(ids) == len(echoed.tokens) - 1 and scores[0] is None, scores
    for i in range(1, len(ids)):
        assert abs(scores[i][str(ids[i])]["logprob"] - echoed.token_logprobs[i]) < 1e-6, (i, scores[i])
        assert 2 <= len(scores[i]) <= 3 and min(entry["rank"] or 9 for entry in scores[i].values()) == 1, scores[i]
    assert answer.choices[0].logprobs is None
    chat = asker.chat(max_tokens=1, extra={"prompt_logprobs": 0}).model_extra["prompt_logprobs"]
    assert len(chat) == len(asker.tokenize(messages=QUESTION)) and all(len(entry) == 1 for entry in chat[1:]), chat


def check_samplers(asker):
    options = {"max_tokens": 40, "temperature": 1, "seed": 5}
    plain = asker.text(LIST, **options).choices[0].text
    for extra in ({"xtc_probability": 1, "xtc_threshold": 0.05}, {"top_n_sigma": 1}, {"dynatemp_range": 0.9, "dynatemp_exponent": 0.5},
                  {"typical_p": 0.5}, {"dry_multiplier": 3, "dry_allowed_length": 1}, {"repeat_penalty": 1.5, "repeat_last_n": 8},
                  {"xtc_probability": 0.5, "dry_multiplier": 1, "top_n_sigma": 2, "dynatemp_range": 0.3, "top_k": 50}):
        found = asker.text(LIST, extra=extra, **options).choices[0].text
        assert found == asker.text(LIST, extra=extra, **options).choices[0].text, extra
        drafted = asker.text(LIST, extra={**extra, "troupe": {"speculation": {"drafter": "prompt-lookup"}}}, **options)
        assert found == drafted.choices[0].text, extra
        streamed = "".join(event.choices[0].text for event in asker.text(LIST, extra=extra, stream=True, **options))
        assert found == streamed and found != plain, (extra, found, plain)
    looping = asker.text(LIST, max_tokens=40).choices[0].text
    broken = asker.text(LIST, max_tokens=40, extra={"dry_multiplier": 5, "dry_allowed_length": 2}).choices[0].text
    assert broken.count("two three one") < looping.count("two three one"), (looping, broken)


def check_refusals(asker):
    for name, extra in (("mirostat", {"mirostat": 2}), ("suffix", {"suffix": "."}), ("best_of", {"best_of": 99}),
                        ("min_tokens", {"min_tokens": 500}), ("allowed_token_ids", {"allowed_token_ids": [-1]})):
        try:
            asker.text("x", extra=extra)
        except openai.BadRequestError as error:
            assert error.param.startswith(name), (name, error)
        else:
            raise AssertionError(f"{name} was not refused")


def main():
    asker = Asker(sys.argv[1])
    for check in (check_rules, check_shown, check_best_of, check_prediction, check_continuation, check_tier,
                  check_prompt_logprobs, check_samplers, check_refusals):
        check(asker)
        print(check.__name__, "ok", flush=True)


main()

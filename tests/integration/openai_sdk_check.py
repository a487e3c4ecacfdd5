#!/usr/bin/env python3
"""Checks a running server with the official OpenAI client.

    openai_sdk_check.py http://127.0.0.1:8080/v1 [model]

Prints one line per check and exits 1 if any failed. Needs: pip install openai
"""
import sys

import openai

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


class Checks:
    def __init__(self, client, model):
        self.client, self.model, self.failed = client, model, 0

    def run(self):
        for name in sorted(n for n in dir(self) if n.startswith("check_")):
            try:
                getattr(self, name)()
                print(f"ok    {name[6:]}")
            except Exception as error:  # every failure is reported, none ends the run
                self.failed += 1
                print(f"FAIL  {name[6:]}: {type(error).__name__}: {error}")
        return self.failed

    def chat(self, **more):
        return self.client.chat.completions.create(
            model=self.model, messages=more.pop("messages", QUESTION), **{"temperature": 0, "max_tokens": 24, **more}
        )

    def text(self, **more):
        return self.client.completions.create(
            model=self.model, prompt=more.pop("prompt", "The sun is"), **{"temperature": 0, "max_tokens": 12, **more}
        )

    def refused(self, kind, call, code=None, param=None):
        try:
            call()
        except kind as error:
            assert code is None or error.code == code, f"code {error.code}, expected {code}"
            assert param is None or error.param == param, f"param {error.param}, expected {param}"
            return
        raise AssertionError(f"expected {kind.__name__}")

    def check_models(self):
        ids = [m.id for m in self.client.models.list()]
        assert self.model in ids, ids
        assert self.client.models.retrieve(self.model).id == self.model
        self.refused(openai.NotFoundError, lambda: self.client.models.retrieve("no-such-model"), "model_not_found")

    def check_chat(self):
        answer = self.chat()
        choice, usage = answer.choices[0], answer.usage
        assert answer.object == "chat.completion" and choice.message.role == "assistant"
        assert choice.message.content, "empty answer"
        assert choice.finish_reason in ("stop", "length"), choice.finish_reason
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert 0 <= usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens
        assert usage.completion_tokens <= 24

    def check_chat_stream_equals_whole(self):
        whole = self.chat()
        parts, finish, usage = [], None, None
        for chunk in self.chat(stream=True, stream_options={"include_usage": True}):
            if not chunk.choices:
                usage = chunk.usage
                continue
            parts.append(chunk.choices[0].delta.content or "")
            finish = chunk.choices[0].finish_reason or finish
        assert "".join(parts) == whole.choices[0].message.content, "".join(parts)
        assert finish == whole.choices[0].finish_reason
        assert usage.completion_tokens == whole.usage.completion_tokens
        assert usage.prompt_tokens == whole.usage.prompt_tokens

    def check_completions_stream_equals_whole(self):
        whole = self.text()
        assert whole.object == "text_completion" and whole.choices[0].text
        assert "".join(c.choices[0].text for c in self.text(stream=True)) == whole.choices[0].text

    def check_completions_of_many_prompts(self):
        prompts = ["One two three", "The sun is"]
        answer = self.text(prompt=prompts, n=2, temperature=1, seed=5)
        assert [c.index for c in answer.choices] == [0, 1, 2, 3]
        alone = [self.text(prompt=p, n=2, temperature=1, seed=5) for p in prompts]
        assert [c.text for c in answer.choices] == [c.text for a in alone for c in a.choices], "a prompt's answer depends on the others"

    def check_echo_scores_the_prompt(self):
        answer = self.text(echo=True, logprobs=2, max_tokens=1)
        scores = answer.choices[0].logprobs
        assert answer.choices[0].text.startswith("The sun is")
        assert scores.token_logprobs[0] is None and all(s <= 0 for s in scores.token_logprobs[1:])
        assert len(scores.tokens) == len(scores.text_offset) == answer.usage.prompt_tokens + 1

    def check_logprobs(self):
        answer = self.chat(logprobs=True, top_logprobs=3, max_tokens=5)
        content = answer.choices[0].logprobs.content
        assert 1 <= len(content) <= 5
        for token in content:
            assert token.logprob <= 0 and len(token.top_logprobs) == 3
            assert token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob
            assert token.token == token.top_logprobs[0].token, "greedy takes the likeliest"
        joined = b"".join(bytes(t.bytes) for t in content).decode("utf-8", "replace")
        assert joined == answer.choices[0].message.content, joined

    def check_n_choices_differ_and_seed_repeats_them(self):
        first = self.chat(n=3, temperature=1.5, seed=11, max_tokens=16)
        again = self.chat(n=3, temperature=1.5, seed=11, max_tokens=16)
        texts = [c.message.content for c in first.choices]
        assert texts == [c.message.content for c in again.choices], "the seed does not repeat the answer"
        assert len(set(texts)) > 1, "all choices are equal"
        assert first.system_fingerprint == again.system_fingerprint

    def check_stop_string(self):
        whole = self.chat().choices[0].message.content
        stop = whole[len(whole) // 2 :][:3]
        cut = self.chat(stop=[stop]).choices[0]
        assert cut.message.content == whole[: whole.index(stop)], cut.message.content
        assert cut.finish_reason == "stop"

    def check_logit_bias_bans_a_token(self):
        before = self.text(max_tokens=1, logprobs=0, extra_body={"troupe": {"token_ids": True}})
        token = before.choices[0].model_extra["troupe"]["token_ids"][0]
        after = self.text(max_tokens=1, logit_bias={str(token): -100}, extra_body={"troupe": {"token_ids": True}})
        assert after.choices[0].model_extra["troupe"]["token_ids"][0] != token

    def check_content_parts(self):
        parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION[0]["content"]}]}]
        assert self.chat(messages=parts).choices[0].message.content == self.chat().choices[0].message.content

    def check_length_finish(self):
        answer = self.chat(max_tokens=1, messages=[{"role": "user", "content": "Count to one hundred."}])
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 1

    def check_cancelled_stream_leaves_the_server_well(self):
        for _ in range(5):
            stream = self.chat(stream=True, max_tokens=200, messages=[{"role": "user", "content": "Tell a long story."}])
            next(iter(stream))
            stream.close()
        assert self.chat().choices[0].message.content

    def check_errors(self):
        bad = openai.BadRequestError
        self.refused(openai.NotFoundError, lambda: self.client.chat.completions.create(model="no-such-model", messages=QUESTION),
                     "model_not_found", "model")
        self.refused(bad, lambda: self.chat(temperature=9), "invalid_value", "temperature")
        self.refused(bad, lambda: self.chat(messages=[]), "invalid_value", "messages")
        self.refused(bad, lambda: self.chat(messages=[{"role": "wizard", "content": "x"}]), "invalid_value", "messages[0].role")
        self.refused(bad, lambda: self.chat(extra_body={"temprature": 1}), "unknown_parameter", "temprature")
        self.refused(bad, lambda: self.chat(response_format={"type": "xml"}), "invalid_value", "response_format.type")
        self.refused(bad, lambda: self.chat(max_tokens=10_000_000), "context_length_exceeded", "max_tokens")
        self.refused(bad, lambda: self.text(prompt="word " * 200_000), "context_length_exceeded", "prompt")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0, timeout=120)
    model = sys.argv[2] if len(sys.argv) == 3 else next(iter(client.models.list())).id
    failed = Checks(client, model).run()
    print(f"{failed} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

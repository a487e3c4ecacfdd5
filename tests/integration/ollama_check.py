#!/usr/bin/env python3
"""Drives a server with Ollama's client: ollama_check.py http://127.0.0.1:8080"""
import asyncio
import json
import sys
import typing

import httpx
import ollama
import pydantic

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0, "num_predict": 24}


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    adult: bool
    eyes: typing.Literal["blue", "brown"]


class Asker:
    def __init__(self, url):
        self.url = url
        self.client = ollama.Client(host=url, timeout=60)
        self.model = self.client.list().models[0].model

    def ask(self, **more):
        return self.client.chat(**{"model": self.model, "messages": QUESTION, "options": GREEDY, **more})


def check_models(asker):
    listed = asker.client.list().models[0]
    assert listed.model.endswith(":latest") and listed.size > 50_000_000, listed
    assert listed.modified_at.year > 2000 and listed.details.quantization_level == "Q4_1", listed
    assert listed.details.family == "llama" and listed.details.parameter_size == "134.52M", listed
    shown = asker.client.show(asker.model)
    assert {"completion", "tools"} <= set(shown.capabilities) and "messages" in shown.template, shown
    assert shown.modelinfo["llama.context_length"] > 1000, shown
    running = asker.client.ps().models[0]
    assert running.model == asker.model and running.context_length > 1000, running
    assert httpx.get(asker.url + "/api/version").json()["version"]


def check_chat(asker):
    """A greedy answer is that of the chat endpoint, by the plain name and by the tagged one."""
    plain = asker.model.removesuffix(":latest")
    body = {"model": plain, "max_tokens": 24, "messages": QUESTION, "temperature": 0}
    chat = httpx.post(asker.url + "/v1/chat/completions", json=body, timeout=60).json()
    for name in (asker.model, plain):
        answer = asker.ask(model=name)
        assert answer.message.content == chat["choices"][0]["message"]["content"], (answer, chat)
        assert answer.model == name and answer.message.role == "assistant" and answer.done, answer
        assert answer.eval_count == chat["usage"]["completion_tokens"], (answer, chat)
        assert answer.prompt_eval_count == chat["usage"]["prompt_tokens"], (answer, chat)
        parts = answer.load_duration + answer.prompt_eval_duration + answer.eval_duration
        assert 0 < parts <= answer.total_duration, answer
    assert asker.ask(options={**GREEDY, "num_predict": 3}).done_reason == "length"


def check_stream(asker):
    lines = list(asker.ask(stream=True))
    assert "".join(line.message.content for line in lines) == asker.ask().message.content, lines
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True], lines
    assert len(lines) > 3 and lines[-1].done_reason in ("stop", "length") and lines[-1].total_duration > 0, lines


def check_generate(asker):
    how = {"model": asker.model, "prompt": QUESTION[0]["content"], "options": GREEDY}
    answer = asker.client.generate(**how)
    assert answer.response == asker.ask().message.content, answer
    assert "".join(line.response for line in asker.client.generate(stream=True, **how)) == answer.response
    raw = asker.client.generate(model=asker.model, prompt="The sun is", raw=True, options=GREEDY)
    body = {"model": asker.model.removesuffix(":latest"), "prompt": "The sun is", "max_tokens": 24, "temperature": 0}
    text = httpx.post(asker.url + "/v1/completions", json=body, timeout=60).json()["choices"][0]["text"]
    assert raw.response == text, (raw, text)
    stopped = asker.client.generate(model=asker.model, prompt="The sun is", raw=True,
                                    options={**GREEDY, "stop": [text.split()[2]]})
    assert stopped.response == text[: text.index(text.split()[2])] and stopped.done_reason == "stop", stopped
    assert asker.client.generate(model=asker.model).done_reason == "load"


def check_formats(asker):
    options = {"temperature": 1, "seed": 3, "num_predict": 200}
    held = asker.ask(format=Person.model_json_schema(), options=options)
    assert held.done_reason == "stop", held
    Person.model_validate_json(held.message.content)
    again = asker.ask(format=Person.model_json_schema(), options=options)
    assert again.message.content == held.message.content, (held, again)
    loose = asker.ask(format="json", options=options)
    if loose.done_reason == "stop":
        assert isinstance(json.loads(loose.message.content), dict), loose


def get_weather(city: str, unit: str) -> str:
    """Tells the weather of a city.

    Args:
      city: Its name
      unit: celsius or fahrenheit
    """
    return f"21 degrees {unit} in {city}"


def check_tools(asker):
    """What the model is free to call comes as objects; a call and its result are a part of the conversation."""
    question = [{"role": "user", "content": "What is the weather in Paris, in celsius?"}]
    free = asker.ask(messages=question, tools=[get_weather])
    for call in free.message.tool_calls or []:
        assert isinstance(call.function.arguments, dict), free
    assert free.prompt_eval_count > asker.ask(messages=question).prompt_eval_count + 50, free
    call = {"function": {"name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius"}}}
    history = question + [{"role": "assistant", "content": "", "tool_calls": [call]},
                          {"role": "tool", "tool_name": "get_weather", "content": get_weather("Paris", "celsius")}]
    final = asker.ask(messages=history, tools=[get_weather])
    assert final.message.content or final.message.tool_calls, final


def check_logprobs(asker):
    answer = asker.ask(logprobs=True, top_logprobs=2)
    assert "".join(entry.token for entry in answer.logprobs).startswith(answer.message.content), answer
    for entry in answer.logprobs:
        assert len(entry.top_logprobs) == 2 and entry.logprob <= entry.top_logprobs[0].logprob <= 0, entry


def refused(status, word, call):
    try:
        call()
    except ollama.ResponseError as error:
        assert error.status_code == status and word in error.error, error
        return
    raise AssertionError(f"accepted: no {status}")


def check_errors(asker):
    picture = [{"role": "user", "content": "?", "images": [b"hi"]}]
    refused(404, "nobody", lambda: asker.ask(model="nobody"))
    refused(404, "nobody", lambda: asker.client.show("nobody"))
    refused(404, "nobody", lambda: list(asker.ask(model="nobody", stream=True)))
    refused(400, "images", lambda: asker.ask(messages=picture))
    refused(400, "options.num_ctx", lambda: asker.ask(options={"num_ctx": 10_000_000}))
    refused(400, "options.mirostat", lambda: asker.ask(options={"mirostat": 2}))
    refused(400, "think", lambda: asker.ask(think=True))
    refused(400, "suffix", lambda: asker.client.generate(model=asker.model, prompt="a", suffix="b"))
    refused(501, "embeddings", lambda: asker.client.embed(model=asker.model, input="x"))


def check_async(asker):
    async def talk():
        client = ollama.AsyncClient(host=asker.url, timeout=60)
        return await client.chat(model=asker.model, messages=QUESTION, options=GREEDY)

    assert asyncio.run(talk()).message.content == asker.ask().message.content


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asker = Asker(sys.argv[1])
    steps = (check_models, check_chat, check_stream, check_generate, check_formats, check_tools, check_logprobs,
             check_errors, check_async)
    for step in steps:
        step(asker)
        print(f"{step.__name__}: good")


main()

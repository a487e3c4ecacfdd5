#!/usr/bin/env python3
"""Drives a server with Anthropic's client: anthropic_check.py http://127.0.0.1:8080"""
import asyncio
import sys
import typing

import anthropic
import httpx
import jsonschema
import pydantic

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    adult: bool
    eyes: typing.Literal["blue", "brown"]


class Asker:
    def __init__(self, url):
        self.url = url
        self.options = {"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 60}
        self.client = anthropic.Anthropic(**self.options)
        self.model = next(iter(self.client.models.list())).id

    def how(self, **more):
        return {"model": self.model, "max_tokens": 24, "messages": QUESTION, "extra_body": {"temperature": 0}, **more}

    def ask(self, **more):
        return self.client.messages.create(**self.how(**more))


def check_models(asker):
    model = asker.client.models.retrieve(asker.model)
    assert model.type == "model" and model.max_input_tokens > 1000 and model.created_at.year > 2000, model


def check_create(asker):
    """A greedy answer is that of the chat endpoint."""
    answer = asker.ask()
    body = {"model": asker.model, "max_tokens": 24, "messages": QUESTION, "temperature": 0}
    chat = httpx.post(asker.url + "/v1/chat/completions", json=body, timeout=60).json()
    assert answer.content[0].text == chat["choices"][0]["message"]["content"], (answer, chat)
    assert answer.type == "message" and answer.role == "assistant" and answer.model == asker.model, answer
    assert answer.stop_reason in ("end_turn", "max_tokens"), answer
    assert answer.usage.output_tokens == chat["usage"]["completion_tokens"], (answer, chat)
    whole_prompt = answer.usage.input_tokens + answer.usage.cache_read_input_tokens
    assert whole_prompt == chat["usage"]["prompt_tokens"], (answer, chat)
    counted = asker.client.messages.count_tokens(model=asker.model, messages=QUESTION)
    assert counted.input_tokens == whole_prompt, counted
    assert asker.ask(max_tokens=3).stop_reason == "max_tokens"


def check_stream(asker):
    whole = asker.ask()
    with asker.client.messages.stream(**asker.how()) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text, (text, whole, final)
    assert final.stop_reason == whole.stop_reason and final.usage.output_tokens == whole.usage.output_tokens, final
    kinds = [event.type for event in asker.ask(stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds


def check_stop_sequence(asker):
    text = asker.ask().content[0].text
    word = text.split()[2]
    cut = asker.ask(stop_sequences=[word, "never said"])
    assert cut.stop_reason == "stop_sequence" and cut.stop_sequence == word, cut
    assert cut.content[0].text == text[: text.index(word)], (cut, text)


def check_system_and_cache(asker):
    """Of a prompt that came before the cached part is no input."""
    system = [{"type": "text", "text": "You answer in one word. " * 40, "cache_control": {"type": "ephemeral"}}]
    first, second = (asker.ask(system=system, max_tokens=4) for _ in range(2))
    assert first.content[0].text == second.content[0].text, (first, second)
    used, again = first.usage, second.usage
    assert again.cache_read_input_tokens > 100, again
    whole = used.input_tokens + used.cache_read_input_tokens
    assert again.input_tokens + again.cache_read_input_tokens == whole, (used, again)


def check_tools(asker):
    """Call, result, answer; whole and as a stream."""
    how = {"tools": [WEATHER], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}, "max_tokens": 160}
    question = [{"role": "user", "content": "What is the weather in Paris, in celsius?"}]
    called = asker.ask(messages=question, **how)
    assert called.stop_reason == "tool_use" and len(called.content) == 1, called
    call = called.content[0]
    assert call.type == "tool_use" and call.name == "get_weather" and call.id.startswith("toolu_"), call
    jsonschema.validate(call.input, WEATHER["input_schema"])
    pieces = 0
    with asker.client.messages.stream(**asker.how(messages=question, **how)) as stream:
        for event in stream:
            pieces += event.type == "input_json"
        streamed = stream.get_final_message()
    assert streamed.content[0].input == call.input and streamed.stop_reason == "tool_use" and pieces > 3, streamed
    named = asker.ask(messages=question, **{**how, "tool_choice": {"type": "tool", "name": "get_weather"}})
    assert named.content[0].name == "get_weather", named

    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "21 degrees"}]}
    history = question + [{"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    final = asker.ask(messages=history, tools=[WEATHER], tool_choice={"type": "none"})
    assert final.content[0].type == "text" and final.content[0].text, final
    with_tools = asker.client.messages.count_tokens(model=asker.model, messages=question, tools=[WEATHER])
    without = asker.client.messages.count_tokens(model=asker.model, messages=question)
    assert with_tools.input_tokens > without.input_tokens + 50, (with_tools, without)


def check_parse(asker):
    answer = asker.client.messages.parse(**asker.how(output_format=Person, max_tokens=100))
    assert answer.stop_reason == "end_turn" and isinstance(answer.parsed_output, Person), answer


def refused(kind, error_type, call):
    try:
        call()
    except kind as error:
        assert error.body["type"] == "error" and error.body["error"]["type"] == error_type, error.body
        return error.body["error"]["message"]
    raise AssertionError(f"accepted: no {kind.__name__}")


def check_errors(asker):
    bad, missing = anthropic.BadRequestError, anthropic.NotFoundError
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    words = refused(bad, "invalid_request_error", lambda: asker.ask(messages=[{"role": "user", "content": [picture]}]))
    assert words == "messages[0].content[0].type: images are not supported", words
    said = QUESTION + [{"role": "assistant", "content": "The"}]
    words = refused(bad, "invalid_request_error", lambda: asker.ask(messages=said))
    assert "must end with a user message" in words, words
    refused(missing, "not_found_error", lambda: asker.ask(model="nobody"))
    refused(missing, "not_found_error", lambda: asker.client.models.retrieve("nobody"))
    refused(bad, "invalid_request_error", lambda: asker.ask(stream=True, extra_body={"temperature": 9}))


def check_async(asker):
    async def talk():
        async with anthropic.AsyncAnthropic(**asker.options) as client:
            return await client.messages.create(**asker.how())

    assert asyncio.run(talk()).content == asker.ask().content


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asker = Asker(sys.argv[1])
    steps = (check_models, check_create, check_stream, check_stop_sequence, check_system_and_cache, check_tools,
             check_parse, check_errors, check_async)
    for step in steps:
        step(asker)
        print(f"{step.__name__}: good")


main()

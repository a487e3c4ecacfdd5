#!/usr/bin/env python3
"""Drives a server's tools with the openai client: tools_check.py URL."""
import json
import sys

import jsonschema
import openai

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
CLOCK = {"type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}}, "required": ["zone"]}
SCHEMAS = {"get_weather": WEATHER, "get_time": CLOCK}
QUESTION = [{"role": "user", "content": "What is the weather in Paris, in celsius, and what time is it there?"}]


def tool(name, **more):
    return {"type": "function", "function": {"name": name, "description": f"Tells: {name}", "parameters": SCHEMAS[name], **more}}


TOOLS = [tool("get_weather"), tool("get_time")]


class Asker:
    def __init__(self, url):
        self.client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)
        self.model = next(iter(self.client.models.list())).id

    def ask(self, messages=QUESTION, **more):
        options = {"max_tokens": 160, "temperature": 0, "tools": TOOLS, **more}
        return self.client.chat.completions.create(model=self.model, messages=messages, **options)

    def calls(self, **more):
        choice = self.ask(**more).choices[0]
        assert choice.finish_reason == "tool_calls", choice
        assert choice.message.content is None, choice
        check(choice.message.tool_calls)
        return choice.message


def check(calls):
    """Every call is of a tool, by its schema, under an id of its own."""
    assert calls and len({call.id for call in calls}) == len(calls), calls
    for call in calls:
        assert call.type == "function" and call.id.startswith("call_"), call
        jsonschema.validate(json.loads(call.function.arguments), SCHEMAS[call.function.name])


def check_forced(asker):
    one = asker.calls(tool_choice="required", parallel_tool_calls=False)
    assert len(one.tool_calls) == 1
    many = asker.calls(tool_choice="required", max_tokens=800, extra_body={"troupe": {"tool_format": "json"}})
    assert 1 <= len(many.tool_calls) <= 16
    for name in SCHEMAS:
        named = asker.calls(tool_choice={"type": "function", "function": {"name": name}})
        assert [call.function.name for call in named.tool_calls] == [name]
    for seed in range(4):
        asker.calls(tool_choice="required", parallel_tool_calls=False, temperature=1, seed=seed)


def check_stream(asker):
    """The pieces of a stream put together are the whole answer."""
    how = {"tool_choice": "required", "parallel_tool_calls": False}
    whole = asker.calls(**how).tool_calls[0].function
    name, arguments, pieces, ids, reason = "", "", 0, set(), None
    for chunk in asker.ask(stream=True, **how):
        choice = chunk.choices[0]
        reason = choice.finish_reason or reason
        assert not choice.delta.content, choice
        for call in choice.delta.tool_calls or []:
            assert call.index == 0
            name += call.function.name or ""
            arguments += call.function.arguments or ""
            ids |= {call.id} - {None}
            pieces += 1
    assert (name, arguments) == (whole.name, whole.arguments), (name, arguments, whole)
    assert reason == "tool_calls" and len(ids) == 1 and pieces > 3, (reason, ids, pieces)


def check_resumed(asker):
    """A stream taken up again names its calls alike: the same bytes."""
    import httpx

    base = str(asker.client.base_url)
    body = {"model": asker.model, "messages": QUESTION, "tools": TOOLS, "tool_choice": "required", "stream": True,
            "parallel_tool_calls": False, "max_tokens": 120, "temperature": 0}
    first = httpx.post(base + "chat/completions", json=body, timeout=60)
    answer_id = json.loads(first.text.split("data: ", 1)[1].split("\n", 1)[0])["id"]
    again = httpx.get(f"{base}requests/{answer_id.removeprefix('chatcmpl-')}/events", params={"from": 0}, timeout=60)
    assert again.status_code == 200 and again.text == first.text, (first.text, again.text)
    assert "call_" in first.text


def check_loop(asker):
    """Call, result, answer."""
    message = asker.calls(tool_choice="required", parallel_tool_calls=False)
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21 degrees and sunny"}
    history = QUESTION + [message.model_dump(exclude_none=True), result]
    final = asker.ask(messages=history, tool_choice="none", max_tokens=24).choices[0]
    assert final.message.content and not final.message.tool_calls and final.finish_reason in ("stop", "length"), final
    free = asker.ask(messages=history, max_tokens=24).choices[0]  # whatever it is, it is told as one of the two
    assert free.message.content or free.message.tool_calls, free


def check_strict(asker):
    """Calls that are free to be made follow a strict schema; so does an answer in a form beside tools."""
    free = asker.ask(tools=[tool("get_weather", strict=True)], n=3, temperature=1, seed=3, max_tokens=60)
    for choice in free.choices:
        if choice.finish_reason == "tool_calls":
            check(choice.message.tool_calls)
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": CLOCK}}
    formed = asker.ask(response_format=form, max_tokens=100).choices[0]
    if formed.finish_reason == "stop":
        jsonschema.validate(json.loads(formed.message.content), CLOCK)


def check_refusals(asker):
    odd = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"contains": {}}}}}}
    orphan = QUESTION + [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]
    for more, words in [
        ({"tools": [odd], "tool_choice": "required"}, ("tools[0].function.parameters", "contains")),
        ({"tool_choice": {"type": "function", "function": {"name": "get_news"}}}, ("tool_choice.function.name",)),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, ("tools[0].function.name",)),
        ({"messages": orphan}, ("messages[1].tool_call_id",)),
        ({"extra_body": {"documents": [{"text": "x"}]}}, ("documents",)),
    ]:
        try:
            asker.ask(**more)
        except openai.BadRequestError as error:
            assert all(word in str(error) for word in words), error
        else:
            raise AssertionError(f"accepted: {more}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asker = Asker(sys.argv[1])
    for step in (check_forced, check_stream, check_resumed, check_loop, check_strict, check_refusals):
        step(asker)
        print(f"{step.__name__}: good")


main()

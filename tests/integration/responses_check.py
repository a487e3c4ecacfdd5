#!/usr/bin/env python3
"""Drives /v1/responses of two gateways with the openai client, and with langchain where it is there: responses_check.py URL URL."""
import asyncio
import importlib.util
import json
import sys

import openai
import pydantic
from openai.types.responses import Response

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
QUESTION = "What is the capital of France?"


class City(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    large: bool


class Asker:
    def __init__(self, urls, key="one"):
        self.clients = [openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) for url in urls]
        self.urls = urls
        self.model = next(iter(self.clients[0].models.list())).id

    def how(self, **more):
        return {"model": self.model, "input": QUESTION, "temperature": 0, "max_output_tokens": 24, **more}

    def ask(self, gateway=0, **more):
        answer = self.clients[gateway].responses.create(**self.how(**more))
        return valid(answer)


def valid(answer):
    """As the client's own types have it, which it does not check when it reads."""
    Response.model_validate(answer.to_dict())
    return answer


def refused(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(f"expected {kind.__name__}")


def check_whole(asker):
    answer = asker.ask(instructions="Answer in one sentence.", metadata={"a": "b"})
    assert answer.id.startswith("resp_") and answer.object == "response"
    assert answer.status in ("completed", "incomplete") and answer.output_text, answer
    assert answer.output[0].type == "message" and answer.output[0].id.startswith("msg_")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert answer.metadata == {"a": "b"} and answer.instructions == "Answer in one sentence."
    short = asker.ask(max_output_tokens=1, input="Count to one hundred.")
    assert short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens"
    chat = asker.clients[0].chat.completions.create(
        model=asker.model, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=24)
    assert asker.ask().output_text == chat.choices[0].message.content, "a response is what a chat says"


def check_stream(asker):
    """Typed events in order; what they build up is the whole answer, and a stream is taken up again at the other gateway."""
    whole = asker.ask()
    events = list(asker.clients[0].responses.create(**asker.how(stream=True)))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:4]] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    last = valid(events[-1].response)
    assert last.output_text == whole.output_text and last.usage.output_tokens == whole.usage.output_tokens
    again = list(asker.clients[1].responses.retrieve(last.id, stream=True, starting_after=5))
    assert [event.to_dict() for event in again] == [event.to_dict() for event in events[6:]]
    with asker.clients[0].responses.stream(**asker.how(max_output_tokens=200)) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text.startswith(whole.output_text)


def check_logprobs(asker):
    answer = asker.ask(include=["message.output_text.logprobs"], top_logprobs=2, max_output_tokens=5)
    part = answer.output[0].content[0]
    assert "".join(token.token for token in part.logprobs) == part.text and len(part.logprobs[0].top_logprobs) == 2
    assert part.logprobs[0].token == part.logprobs[0].top_logprobs[0].token, "greedy takes the likeliest"


def check_conversation(asker):
    """Goes on at the other gateway; the same conversation as items says the same."""
    first = asker.ask(input="My name is Ada.")
    second = asker.ask(gateway=1, input="What is my name?", previous_response_id=first.id)
    said = [{"role": "user", "content": "My name is Ada."}, *[item.to_dict() for item in first.output],
            {"role": "user", "content": "What is my name?"}]
    assert asker.ask(input=said, store=False).output_text == second.output_text
    referred = [said[0], {"type": "item_reference", "id": first.output[0].id}, said[-1]]
    assert asker.ask(gateway=1, input=referred).output_text == second.output_text
    counted = asker.clients[0].responses.input_tokens.count(
        model=asker.model, input="What is my name?", previous_response_id=first.id)
    assert counted.input_tokens == second.usage.input_tokens


def check_tools(asker):
    """Call, result, answer: by the stored response and by the items themselves."""
    first = asker.ask(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_output_tokens=120,
                      input="What is the weather in Paris, in celsius?")
    call = next(item for item in first.output if item.type == "function_call")
    arguments = json.loads(call.arguments)
    assert call.name == "get_weather" and set(arguments) == {"city", "unit"} and first.tools[0].strict, first
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees and sunny"}
    second = asker.ask(gateway=1, tools=[WEATHER], tool_choice="none", input=[result], previous_response_id=first.id)
    assert second.output_text and all(item.type == "message" for item in second.output), second
    items = [{"role": "user", "content": "What is the weather in Paris, in celsius?"},
             *[item.to_dict() for item in first.output], result]
    assert asker.ask(tools=[WEATHER], tool_choice="none", input=items).output_text == second.output_text
    named = asker.how(tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}, max_output_tokens=120, stream=True,
                      input="What is the weather in Paris, in celsius?")
    events = list(asker.clients[0].responses.create(**named))
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    done = next(event for event in events if event.type == "response.function_call_arguments.done")
    assert "".join(pieces) == done.arguments and len(pieces) > 3, pieces
    assert valid(events[-1].response).output[0].arguments == done.arguments


def check_parse(asker):
    for gateway in (0, 1):
        answer = asker.clients[gateway].responses.parse(
            **asker.how(input="Name a city and say whether it is large, as JSON.", text_format=City, max_output_tokens=200))
        assert isinstance(answer.output_parsed, City), answer


def check_store(asker):
    answer = asker.ask(input=[{"role": "user", "content": "One"}, {"role": "user", "content": QUESTION}])
    for client in asker.clients:
        assert client.responses.retrieve(answer.id).to_dict() == answer.to_dict()
        items = list(client.responses.input_items.list(answer.id, order="asc", limit=1))
        assert [item.content[0].text for item in items] == ["One", QUESTION], items
    other = Asker(asker.urls, key="another")
    for call in (other.clients[0].responses.retrieve, other.clients[1].responses.delete):
        refused(openai.NotFoundError, lambda: call(answer.id), answer.id)
    refused(openai.BadRequestError, lambda: other.ask(previous_response_id=answer.id), "previous_response_id", answer.id)
    refused(openai.BadRequestError, lambda: asker.clients[0].responses.cancel(answer.id), "background")
    asker.clients[1].responses.delete(answer.id)
    for client in asker.clients:
        refused(openai.NotFoundError, lambda: client.responses.retrieve(answer.id), answer.id)
    unkept = asker.ask(store=False)
    refused(openai.NotFoundError, lambda: asker.clients[0].responses.retrieve(unkept.id))


def check_refusals(asker):
    for more, words in [
        ({"background": True}, ("background",)),
        ({"truncation": "auto"}, ("truncation",)),
        ({"tools": [{"type": "web_search"}]}, ("tools[0].type", "web_search")),
        ({"input": [{"type": "computer_call_output", "call_id": "c", "output": {}}]}, ("input[0].type", "computer_call_output")),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, ("input[0].call_id",)),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "array", "contains": {}}}}},
         ("text.format.schema", "contains")),
        ({"max_output_tokens": 10_000_000}, ("the context holds",)),
        ({"extra_body": {"messages": [{"role": "user", "content": "x"}]}}, ("messages",)),
    ]:
        refused(openai.BadRequestError, lambda: asker.ask(**more), *words)


def check_async(asker):
    async def ask():
        async with openai.AsyncOpenAI(base_url=asker.urls[0], api_key="one", max_retries=0, timeout=60) as client:
            answers = await asyncio.gather(*(client.responses.create(**asker.how()) for _ in range(3)))
            return {answer.output_text for answer in answers}

    assert asyncio.run(ask()) == {asker.ask().output_text}


def check_langchain(asker):
    if importlib.util.find_spec("langchain_openai") is None:
        print("langchain_openai is not there")
        return
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=asker.model, base_url=asker.urls[0], api_key="one", use_responses_api=True, temperature=0,
                       max_tokens=120, max_retries=0)
    plain = model.invoke(QUESTION, max_tokens=24)
    assert plain.text == asker.ask().output_text, plain
    pieces = list(model.stream(QUESTION, max_tokens=24))
    assert "".join(piece.text for piece in pieces) == plain.text and len(pieces) > 3, pieces
    tool = {"type": "function", "function": {key: WEATHER[key] for key in ("name", "description", "parameters")}}
    armed = model.bind_tools([tool], tool_choice="required", parallel_tool_calls=False)
    history = [HumanMessage("What is the weather in Paris, in celsius?")]
    called = armed.invoke(history)
    assert called.tool_calls[0]["name"] == "get_weather", called
    history += [called, ToolMessage("21 degrees and sunny", tool_call_id=called.tool_calls[0]["id"])]
    assert model.invoke(history, max_tokens=24).text
    chained = ChatOpenAI(model=asker.model, base_url=asker.urls[1], api_key="one", use_responses_api=True, temperature=0,
                         max_tokens=24, max_retries=0, use_previous_response_id=True)
    first = chained.invoke("My name is Ada.")
    assert chained.invoke([HumanMessage("My name is Ada."), first, HumanMessage("What is my name?")]).text
    formed = model.with_structured_output(City).invoke("Name a city and say whether it is large, as JSON.")
    assert isinstance(formed, City), formed


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asker = Asker(sys.argv[1:])
    for step in (check_whole, check_stream, check_logprobs, check_conversation, check_tools, check_parse, check_store,
                 check_refusals, check_async, check_langchain):
        step(asker)
        print(f"{step.__name__}: good")


main()

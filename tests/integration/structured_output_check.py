#!/usr/bin/env python3
"""Checks answers against their schemas with jsonschema.

    structured_output_check.py walks SCHEMAS < LINES          lines {"schema", "text"}: each text is valid
    structured_output_check.py server SCHEMAS URL [SEEDS]     asks a server with the openai client; SEEDS a schema (default 2),
                                                              "all" schemas when SEEDS is given
    structured_output_check.py speed SCHEMAS URL              tokens a second of one stream, with a schema and without, in turn
"""
import json
import pathlib
import statistics
import sys
import time

import jsonschema


def load(folder):
    schemas = {path.stem: json.loads(path.read_text())["schema"] for path in sorted(pathlib.Path(folder).glob("*.json"))}
    schemas["any object"] = {"type": "object"}
    return schemas


def validate(schema, text):
    validator = jsonschema.Draft202012Validator
    validator(schema, format_checker=validator.FORMAT_CHECKER).validate(json.loads(text))


def check_walks(schemas):
    seen = {}
    for line in sys.stdin:
        walk = json.loads(line)
        try:
            validate(schemas[walk["schema"]], walk["text"])
        except (ValueError, jsonschema.ValidationError) as error:
            sys.exit(f"{walk['schema']}: {walk['text']}: {error}")
        seen[walk["schema"]] = seen.get(walk["schema"], 0) + 1
    missing = [name for name in schemas if name not in seen]
    assert len(missing) <= 3, f"no whole text of {missing}"
    print(f"{sum(seen.values())} random texts of {len(seen)} schemas are valid")


class Server:
    def __init__(self, url):
        import openai

        self.openai = openai
        self.client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=200)
        self.model = next(iter(self.client.models.list())).id
        self.counts = {"stop": 0, "length": 0}

    def ask(self, question="Invent an example.", **more):
        options = {"temperature": 1, "max_tokens": 160, **more}
        return self.client.chat.completions.create(model=self.model, messages=[{"role": "user", "content": question}], **options)

    def check_schema(self, name, schema, seeds, max_tokens):
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        question = f"Invent an example of: {name.replace('_', ' ')}. Answer in JSON."
        for first in range(0, seeds, 10):
            answer = self.ask(question, response_format=form, n=min(10, seeds - first), seed=7 + first, max_tokens=max_tokens)
            for choice in answer.choices:
                self.counts[choice.finish_reason] += 1
                if choice.finish_reason == "stop":
                    validate(schema, choice.message.content)

    def check_strict_parse(self):
        """The loop of a client that parses: a closed schema, an object of a class."""
        schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}, "country": {"enum": ["France", "Spain"]}},
                  "required": ["city", "country"], "additionalProperties": False}
        form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}
        whole = self.ask("What is the capital of France?", response_format=form, temperature=0)
        place = json.loads(whole.choices[0].message.content)
        assert set(place) == {"city", "country"} and whole.choices[0].finish_reason == "stop", place
        again = self.ask("What is the capital of France?", response_format=form, temperature=0, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in again if c.choices) == whole.choices[0].message.content

    def check_other_kinds(self):
        yes = self.ask("Is the sky blue?", extra_body={"guided_choice": ["yes", "no"]})
        assert yes.choices[0].message.content in ("yes", "no")
        code = self.ask("Give me a code.", extra_body={"guided_regex": "[A-Z]{3}-[0-9]{4}"}).choices[0].message.content
        assert len(code) == 8 and code[:3].isupper() and code[4:].isdigit(), code
        rules = 'root ::= item ("," item)*\nitem ::= [a-z]{2,8}\n'
        words = self.ask("List words.", extra_body={"grammar": rules}, max_tokens=24).choices[0].message.content
        assert all(c in "abcdefghijklmnopqrstuvwxyz," for c in words), words
        free = self.ask("An object.", response_format={"type": "json_object"}, max_tokens=12).choices[0]
        assert free.message.content.startswith("{") and free.finish_reason in ("stop", "length")

    def check_refusal(self):
        bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "contains": {}}}}
        try:
            self.ask(response_format=bad)
        except self.openai.BadRequestError as error:
            assert "'contains'" in str(error) and "#/contains" in str(error), error
        else:
            raise AssertionError("a keyword that is not supported was accepted")


def check_server(schemas, url, seeds):
    server = Server(url)
    server.check_strict_parse()
    server.check_other_kinds()
    server.check_refusal()
    some = ["sentiment", "integer_bounds", "pet_discriminated", "server_host", "username", "geo_point"]
    for name in schemas if seeds else some:
        server.check_schema(name, schemas[name], seeds or 3, 400 if seeds else 120)
    total = sum(server.counts.values())
    print(f"{total} answers, {server.counts['stop']} whole and valid, {server.counts['length']} cut")
    assert server.counts["stop"] >= total * 2 // 3, server.counts


def measure_speed(url):
    server = Server(url)
    fields = {"name": {"type": "string", "maxLength": 40}, "occupation": {"type": "string", "maxLength": 40},
              "country_of_birth": {"type": "string", "maxLength": 30}, "year_of_birth": {"type": "integer", "minimum": 1000, "maximum": 2100},
              "is_still_alive": {"type": "boolean"}}
    schema = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    forms = {"free": {}, "form": {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}}}
    rates = {name: [] for name in forms}
    for seed in range(24):
        for name, form in forms.items():
            person = ("Albert Einstein", "Marie Curie", "Ada Lovelace", "Isaac Newton", "Frida Kahlo", "Alan Turing")[seed % 6]
            began = time.perf_counter()
            answer = server.ask(f"Describe {person} as a JSON object.", seed=seed, temperature=0.7, max_tokens=120, **form)
            if seed > 0:  # the first compiles, and fills caches
                rates[name].append(answer.usage.completion_tokens / (time.perf_counter() - began))
    free, form = (statistics.median(rates[name]) for name in ("free", "form"))
    print(f"tokens a second with a schema / without: {form / free:.2f} (medians of {len(rates['form'])} answers in turn)")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    schemas = load(sys.argv[2])
    if sys.argv[1] == "walks":
        check_walks(schemas)
    elif sys.argv[1] == "speed":
        measure_speed(sys.argv[3])
    else:
        check_server(schemas, sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0)


main()

"""Makes up requests from a server's own /openapi.json and holds its answers to it: openapi_check.py URL.

Each operation gets its share of --cases: requests that fit the document, requests that break it, and (of bodies) requests that
have what is required and few of the other fields, since a body that has them all is refused for one of them.
"""
import argparse
import concurrent.futures
import copy
import json
import logging
import random
import sys
import time
import urllib.request
import warnings
import zlib

import hypothesis
import openapi_spec_validator
import schemathesis
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (content_type_conformance, response_headers_conformance,
                                               response_schema_conformance, status_code_conformance)

ENDLESS = {"/events/cluster"}
SMALL = {"max_tokens": 12, "max_completion_tokens": 12, "max_output_tokens": 12, "num_predict": 12, "n": 3, "best_of": 3,
         "width": 3, "groups": 3, "min_tokens": 12}
SIZED = {"ChatRequest": "max_tokens", "CompletionRequest": "max_tokens", "ResponseRequest": "max_output_tokens",
         "ChatRun": "options", "GenerateRun": "options", "RunOptions": "num_predict"}
FEW_SHAPES = 8
ROUND = 120


def fetched(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def narrowed(document, model):
    """The same with the served model's name and with short answers: what is looked for is wrong answers, not long ones."""
    out = copy.deepcopy(document)
    schemas = out["components"]["schemas"]
    bodies = {name for name, schema in schemas.items() if schema.get("additionalProperties") is not None}
    for name in bodies:
        for field, schema in schemas[name]["properties"].items():
            if field == "model":
                schemas[name]["properties"][field] = {"enum": [model]}
            if field in SMALL:
                schemas[name]["properties"][field] = {"type": "integer", "minimum": schema["minimum"], "maximum": SMALL[field]}
    for name, field in SIZED.items():
        schemas[name].setdefault("required", []).append(field)
        if field == "options":
            schemas[name]["properties"][field] = {"$ref": "#/components/schemas/RunOptions"}
    return out


def with_few_fields(document, name, draw):
    """The same with what the shape requires and up to three of its other fields."""
    out = copy.deepcopy(document)
    schema = out["components"]["schemas"][name]
    optional = [f for f in schema["properties"] if f not in schema.get("required", [])]
    kept = set(draw.sample(optional, min(len(optional), draw.randint(0, 3)))) | set(schema.get("required", []))
    schema["properties"] = {f: s for f, s in schema["properties"].items() if f in kept}
    return out


def body_of(operation):
    """Name of the shape of its JSON body; None where it has none."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return schema["$ref"].rsplit("/", 1)[1] if schema else None


def whole_stream(text):
    """Why a stream of events is not whole; None where it is."""
    events = [event for event in text.split("\n\n") if event]
    last = events[-1] if events else ""
    ends = ("data: [DONE]", "event: message_stop", "event: response.completed", "event: response.incomplete",
            "event: response.failed", "event: error")
    data = [line for line in last.split("\n") if line.startswith(("data:", "event:"))]
    if data and (data[0].startswith(ends) or '"error"' in data[0]):
        return None
    return f"a stream ends with {last[:200]!r}"


def extra_failures(response):
    kind = response.headers.get("content-type", [""])
    kind = kind[0] if isinstance(kind, list) else kind
    if response.status_code >= 500 and response.status_code != 501:
        yield f"status {response.status_code}: {response.text[:300]}"
    if response.status_code == 200 and kind.startswith("text/event-stream"):
        problem = whole_stream(response.text)
        if problem:
            yield problem
    if response.status_code == 200 and kind.startswith("application/x-ndjson"):
        last = json.loads(response.text.strip().rsplit("\n", 1)[-1])
        if not last.get("done") and "error" not in last:
            yield f"a stream of lines ends with {str(last)[:200]}"


class Tally:
    def __init__(self, until):
        self.until = until  # on the monotonic clock, which all processes share
        self.cases, self.statuses, self.failures, self.slowest = 0, {}, {}, 0.0

    def add(self, label, what, request):
        found = self.failures.setdefault((label, what.split("\n")[0][:160]), [0, what, request])
        found[0] += 1


CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]


def try_case(case, url, tally):
    begun = time.monotonic()
    if begun > tally.until:
        return
    try:
        response = case.call(base_url=url, timeout=60)
    except Exception as error:  # noqa: BLE001 - a server that does not answer is a finding like any other
        tally.add(case.operation.label, f"no answer: {type(error).__name__}: {error}", case.as_curl_command(base_url=url)[:2000])
        return
    tally.slowest = max(tally.slowest, time.monotonic() - begun)
    tally.cases += 1
    tally.statuses[response.status_code] = tally.statuses.get(response.status_code, 0) + 1
    found = list(extra_failures(response))
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as group:
        found += [f"{type(each).__name__}: {each}" for each in group.exceptions]
    for what in found:
        tally.add(case.operation.label, what, case.as_curl_command(base_url=url)[:2000])


def draw_cases(document, path, method, mode, count, seed, url, tally):
    if time.monotonic() > tally.until:
        return
    operation = schemathesis.openapi.from_dict(document)[path][method]

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, deadline=None, database=None, phases=[hypothesis.Phase.generate],
                         suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def run(case):
        try_case(case, url, tally)

    try:
        run()
    except hypothesis.errors.Unsatisfiable:
        pass  # nothing that breaks the document can be said here


def fuzz(document, path, method, count, seed, url, until):
    """One operation's share. In a process of its own."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    tally = Tally(until)
    if time.monotonic() > until:
        return f"{method.upper()} {path}", tally
    operation = document["paths"][path][method]
    mode = schemathesis.GenerationMode
    seed ^= zlib.crc32(f"{method} {path}".encode())
    name = body_of(operation)
    parts = [(document, mode.POSITIVE), (document, mode.NEGATIVE)]
    if not name and "parameters" not in operation:
        parts = [(document, mode.POSITIVE)]
    if name:
        draw = random.Random(seed)
        few = [(with_few_fields(document, name, draw), mode.POSITIVE) for _ in range(min(FEW_SHAPES, count // 2))]
        share = max(1, count // 2 // max(1, len(few)))
        for number, (each, kind) in enumerate(few):
            draw_cases(each, path, method, kind, share, seed + number, url, tally)
        count -= share * len(few)
    for number, (each, kind) in enumerate(parts):
        draw_cases(each, path, method, kind, max(1, count // len(parts)), seed - 1 - number, url, tally)
    return f"{method.upper()} {path}", tally


def shares(document, cases):
    """(path, method, cases): an operation without anything to choose has one."""
    operations = [(path, method, operation) for path, methods in document["paths"].items() if path not in ENDLESS
                  for method, operation in methods.items()]
    plain = [o for o in operations if "requestBody" not in o[2] and "parameters" not in o[2]]
    others = [o for o in operations if o not in plain]
    weights = [3 if "requestBody" in o[2] else 1 for o in others]
    each = (cases - len(plain)) / sum(weights)
    return [(p, m, max(3, round(each * w))) for (p, m, _), w in zip(others, weights)] + [(p, m, 1) for p, m, _ in plain]


def rounds(shares_of_all):
    """Parts of each share, one of every operation before the next of any: what ends early has tried all of them."""
    parts = [(number, path, method, min(ROUND, count - number * ROUND)) for path, method, count in shares_of_all
             for number in range(-(-count // ROUND))]
    return sorted(parts, key=lambda part: part[0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no case begins later; fewer are then no failure")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", help="operations whose path has this")
    options = parser.parse_args()
    document = fetched(f"{options.url}/openapi.json")
    openapi_spec_validator.validate(document)
    model = fetched(f"{options.url}/v1/models")["data"][0]["id"]
    document = narrowed(document, model)
    begun = time.monotonic()
    total, tried, statuses, failures, slowest = 0, set(), {}, {}, (0.0, "")
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        work = [pool.submit(fuzz, document, path, method, count, options.seed + 1000 * number, options.url,
                            begun + options.seconds)
                for number, path, method, count in rounds(shares(document, options.cases)) if options.only in path]
        for done in concurrent.futures.as_completed(work):
            label, tally = done.result()
            total += tally.cases
            tried |= {label} if tally.cases else set()
            slowest = max(slowest, (tally.slowest, label))
            for status, count in tally.statuses.items():
                statuses[status] = statuses.get(status, 0) + count
            failures.update(tally.failures)
    print(f"{total} cases at {len(tried)} operations in {time.monotonic() - begun:.0f} s, slowest {slowest[0]:.1f} s ({slowest[1]}); "
          f"answers by status: {dict(sorted(statuses.items()))}")
    for (label, _), (count, what, request) in sorted(failures.items()):
        print(f"\n{label}, {count} times: {what}\n  {request}")
    enough = options.only or options.seconds < float("inf") or total >= 0.8 * options.cases
    if not enough:
        print("fewer cases than asked for")
    sys.exit(0 if enough and not failures else 1)


if __name__ == "__main__":
    main()

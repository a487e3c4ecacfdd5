"""One recorded request through four real processes is one timeline: every role's spans, below the right parents and within
them, from `troupe trace` and by OTLP. A decode worker's death shows both placements. Who is not asked tells nothing."""
import http.client
import json
import os
import signal
import subprocess

import harness
from collector import Collector
from harness import check, eventually, metric, pid_of

LONG = "The quick brown fox jumps over the lazy dog and runs away. " * 40
CALLER = "b7ad6b7169203331"
ROUNDING_US = 1  # microseconds since 1970 as JSON numbers


def trace_id(number):
    return f"0af7651916cd43dd8448eb2100000{number:03d}"


def ask(server, body, traceparent, after_event=lambda count: None):
    """Streams a completion. Returns its request's id."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("POST", "/v1/completions", json.dumps({**body, "stream": True}),
                           {"content-type": "application/json", "traceparent": traceparent})
        response = connection.getresponse()
        check(response.status == 200, f"{response.status}")
        count = 0
        for line in response:
            if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                check("error" not in json.loads(line[6:]), f"{line}")
                count += 1
                after_event(count)
        return response.headers["x-request-id"]
    finally:
        connection.close()


def timeline(server, request):
    """Spans of `troupe trace` by id, each with the name of its process's row; none when nothing was recorded."""
    done = subprocess.run([str(harness.TROUPE), "trace", request, "--url", f"http://127.0.0.1:{server.port}"],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        return {}
    events = json.loads(done.stdout)["traceEvents"]
    rows = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    return {e["args"]["span"]: {**e, "process": rows[e["pid"]]} for e in events if e["ph"] == "X"}


def whole(server, request):
    """The timeline once its root is there; workers' spans come before the tokens that end it."""
    found = {}

    def complete():
        found.update(timeline(server, request))
        return any(span["name"] == "request" for span in found.values())
    eventually(complete, "the request's own span is recorded")
    return found


def of(spans, name, role):
    return [s for s in spans.values() if s["name"] == name and s["process"].split("@")[0].split()[0] == role]


def only(spans, name, role):
    found = of(spans, name, role)
    check(len(found) == 1, f"one span {name} of {role}: {[(s['name'], s['process']) for s in spans.values()]}")
    return found[0]


def check_nested(spans):
    roots = [s for s in spans.values() if s["args"]["parent"] == CALLER]
    check(len(roots) == 1 and roots[0]["name"] == "request", f"one root: {roots}")
    for span in spans.values():
        if span is roots[0]:
            continue
        parent = spans.get(span["args"]["parent"])
        check(parent is not None, f"{span['name']} of {span['process']} has no parent")
        check(span["ts"] >= parent["ts"] - ROUNDING_US
              and span["ts"] + span["dur"] <= parent["ts"] + parent["dur"] + ROUNDING_US,
              f"{span} is not within {parent}")


def check_below(spans, child, parent):
    check(child["args"]["parent"] == parent["args"]["span"], f"{child['name']} below {parent['name']}: {child} {parent}")


def check_disaggregated(server, model):
    request = ask(server, {"model": model, "prompt": "First. " + LONG, "max_tokens": 12, "temperature": 0},
                  f"00-{trace_id(1)}-{CALLER}-01")
    spans = whole(server, request)
    check_nested(spans)
    root, place, placement = (only(spans, name, "gateway") for name in ("request", "place", "placement"))
    for name in ("prepare", "first_token", "stream"):
        check_below(spans, only(spans, name, "gateway"), root)
    placing = only(spans, "placing", "router")
    check_below(spans, placing, place)
    check(placing["args"]["troupe.policy"] == "load_and_prefix", f"{placing}")
    check(placing["args"]["troupe.decode"].startswith("decode@"), f"{placing}")
    check(placing["dur"] > 0, "placing takes time")
    pages = only(spans, "wait_for_pages", "decode")
    check(pages["process"] == "decode " + placing["args"]["troupe.decode"], f"who was chosen: {pages['process']}")
    check_below(spans, pages, placement)
    for name in ("queue", "prefill", "send_pages"):
        check_below(spans, only(spans, name, "prefill"), pages)
    check(only(spans, "prefill", "prefill")["args"]["troupe.chunks"] >= 1, "in chunks")
    check_below(spans, only(spans, "decode", "decode"), placement)
    check(not of(spans, "first_step", "decode"), "the prefill worker drew the first token")
    decode = only(spans, "decode", "decode")["args"]
    check(decode["troupe.tokens"] == 12 and 1 <= decode["troupe.steps"] <= 12, f"{decode}")
    check(len({s["process"] for s in spans.values()}) == 4, "a row for each role")
    return spans


def check_exported(collector, spans):
    ids = {span for span in spans}
    eventually(lambda: ids <= {s["spanId"] for s in collector.spans}, "every span is exported")
    exported = {s["spanId"]: s for s in collector.spans if s["traceId"] == trace_id(1)}
    check(set(exported) == ids, "and no other one of this trace")
    for number, span in spans.items():
        sent, role = exported[number], span["process"].split()[0]
        check(sent["service"] == f"troupe-{role}" and sent["instance"] == span["process"].split()[1], f"{sent}")
        check(sent["parentSpanId"] == span["args"]["parent"], f"{sent}")


def check_death(server, model):
    killed = []

    def kill_the_decoder(count):
        if killed or count < 20:
            return
        for name in ("decode-0", "decode-1"):
            if metric(server.metrics[name], "troupe_worker_streams_running") > 0:
                os.kill(pid_of(server, "decode", server.metrics[name]), signal.SIGKILL)
                killed.append(name)

    story = {"model": model, "prompt": "Once upon a time", "max_tokens": 300, "seed": 5, "temperature": 0.8, "ignore_eos": True}
    request = ask(server, story, f"00-{trace_id(2)}-{CALLER}-01", kill_the_decoder)
    check(len(killed) == 1, "a decode worker was killed in the middle of its stream")
    spans = whole(server, request)
    check_nested(spans)
    # A busy machine may add some: a worker that does not answer in time is left, too.
    placements = sorted(of(spans, "placement", "gateway"), key=lambda s: s["ts"])
    first, last = placements[0], placements[-1]
    check([p["args"]["troupe.epoch"] for p in placements] == list(range(1, len(placements) + 1)) and len(placements) > 1, f"{placements}")
    check(all(bool(p["args"]["failed"]) == (p is not last) for p in placements), f"{placements}")
    check(len(of(spans, "placing", "router")) == len(placements), "all were placed by the router")
    steps = {s["args"]["parent"]: s for s in of(spans, "first_step", "decode")}
    check({first["args"]["span"], last["args"]["span"]} <= set(steps) <= {p["args"]["span"] for p in placements}, f"a first step of each: {steps}")
    check(len(placements) > 2 or steps[first["args"]["span"]]["process"] != steps[last["args"]["span"]]["process"], "by two workers")
    check_below(spans, max(of(spans, "decode", "decode"), key=lambda s: s["ts"]), last)


def check_silence(server, model):
    before = metric(server.port, "troupe_gateway_spans_received_total", required=True)
    for traceparent in (f"00-{trace_id(3)}-{CALLER}-00", "00-nonsense-01", f"00-{'0' * 32}-{CALLER}-01"):
        request = ask(server, {"model": model, "prompt": "Once", "max_tokens": 3}, traceparent)
        check(timeline(server, request) == {}, f"nothing is recorded of {traceparent}")
    check(metric(server.port, "troupe_gateway_spans_received_total") == before, "and nobody tells anything")


def check_new_trace(server, collector, model):
    request = ask(server, {"model": model, "prompt": "Once", "max_tokens": 3}, "00-nonsense-01")
    eventually(lambda: any(s["name"] == "request" for s in collector.spans), "it is recorded by its share")
    root = next(s for s in collector.spans if s["name"] == "request")
    check("parentSpanId" not in root and len(root["traceId"]) == 32, f"a malformed traceparent begins a new trace: {root}")
    names = {span["name"] for span in timeline(server, request).values()}
    check({"placing", "queue", "first_step", "decode"} <= names, f"every role of one process tells: {names}")


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    small = ["--kv-bytes", "256MiB", "--engine-threads", "1"]
    transfers = ["--router-policy", "load_and_prefix", "--disagg-min-prompt-tokens", "128"]
    with Collector() as collector:
        with harness.cluster(*small, *transfers, "--trace-otlp-endpoint", collector.endpoint, model=model_file, decode=2) as server:
            eventually(lambda: metric(server.metrics["router"], "troupe_router_ready_nodes") == 4, "all four are ready")
            model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
            check_silence(server, model)
            check_exported(collector, check_disaggregated(server, model))
            check_death(server, model)
            check(metric(server.port, "troupe_gateway_spans_dropped_total", required=True) == 0, "no span was dropped")
    with Collector() as collector:
        with harness.serve(*small, "--trace-ratio", "1", "--trace-otlp-endpoint", collector.endpoint, model=model_file) as server:
            check_new_trace(server, collector, json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"])


main()

"""A small cluster under load, a real Prometheus and a collector of spans: every query of every dashboard has an answer, every metric that rules and
dashboards name exists, /metrics passes promtool, what clients write makes no new series, and a request's trace is an exemplar in
Prometheus, spans at the collector and a file of `troupe trace`."""
import http.client
import json
import re
import subprocess
import threading

import harness
import prometheus
from collector import Collector
from harness import check

DASHBOARDS = harness.ROOT / "deploy/grafana/dashboards"
PANELS = {"stat", "timeseries", "heatmap"}


def scrape(port, accept="text/plain"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics", headers={"accept": accept})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def series(port):
    return {line.rsplit(" ", 1)[0] for line in scrape(port).splitlines() if line and not line.startswith("#")}


def check_text(name, text):
    """promtool's lint; the colon belongs to vLLM's names, and so do the endings of three of them."""
    done = subprocess.run([harness.need_program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line and not line.startswith(("vllm:", "troupe:"))]
    check(not said, f"{name}: {said}")
    foreign = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("vllm:")]
    check(all("should not contain ':'" in line or "_total" in line or "abbreviated" in line for line in foreign), f"{name}: {foreign}")


def check_shape(name, dashboard):
    """What Grafana needs of a dashboard's JSON, as its documentation of the model lists it."""
    check(dashboard["uid"] == f"troupe-{name}" and dashboard["title"] and dashboard["schemaVersion"] >= 36, name)
    taken, ids = set(), set()
    for panel in dashboard["panels"]:
        check(panel["type"] in PANELS and panel["title"] and panel["targets"], f"{name}: {panel['title']}")
        check(panel["id"] not in ids, f"{name}: two panels {panel['id']}")
        ids.add(panel["id"])
        at = panel["gridPos"]
        check(0 <= at["x"] and at["x"] + at["w"] <= 24 and at["h"] > 0, f"{name}: {panel['title']} stands outside")
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        check(not cells & taken, f"{name}: {panel['title']} covers another panel")
        taken |= cells
        refs = [target["refId"] for target in panel["targets"]]
        check(len(set(refs)) == len(refs), f"{name}: {panel['title']} repeats a refId")
        for target in panel["targets"]:
            check(target["datasource"]["uid"] == "prometheus" and target["expr"] and target["legendFormat"], f"{name}: {target}")


def queries():
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        check_shape(path.stem, dashboard)
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}/{panel['title']}", target["expr"].replace("$__rate_interval", "10s").replace("$instance", ".*")


TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def ask_traced(server, model):
    """The request's id."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("POST", "/v1/completions", json.dumps({"model": model, "prompt": "Once", "max_tokens": 5}),
                       {"content-type": "application/json", "traceparent": f"00-{TRACE}-{CALLER}-01"})
    answer = connection.getresponse()
    check(answer.status == 200 and answer.read(), "a traced request is answered")
    connection.close()
    return answer.headers["x-request-id"]


def check_trace(server, prom, collector, request):
    harness.eventually(lambda: any(span["name"] == "request" for span in collector.spans), "the root span is exported")
    root = next(span for span in collector.spans if span["name"] == "request")
    check(root["traceId"] == TRACE and root["parentSpanId"] == CALLER, f"{root}")
    check({s["name"] for s in collector.spans if s.get("parentSpanId") == root["spanId"]}
          == {"prepare", "place", "placement", "first_token", "stream"}, f"{collector.spans}")
    done = subprocess.run([str(harness.TROUPE), "trace", request, "--url", f"http://127.0.0.1:{server.port}"],
                          capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, done.stderr)
    names = [event["name"] for event in json.loads(done.stdout)["traceEvents"] if event["ph"] == "X"]
    check({"first_token", "prepare", "request", "stream", "placing", "first_step", "decode"} <= set(names), f"troupe trace: {names}")

    def exemplars():
        found = prom.api("query_exemplars", query="troupe_gateway_first_token_seconds_bucket", start="0", end="99999999999")
        return any(e["labels"]["trace_id"] == TRACE for each in found for e in each["exemplars"])
    harness.eventually(exemplars, "Prometheus has the exemplar", 60)


def load(server, model, stop):
    prefix = "The same words stand before every question that is asked here. " * 12
    number = 0
    while not stop.is_set():
        number += 1
        body = {"model": model, "prompt": f"{prefix}{number % 7}: ", "max_tokens": 12, "seed": number, "user": f"user-{number}"}
        check(server.post("/v1/completions", body)[0] == 200, "a request failed")


def main():
    done = subprocess.run([str(harness.ROOT / "deploy/grafana/make-dashboards"), "--check"], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, done.stderr)
    asked = list(queries())
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    harness.need_program("prometheus")
    with Collector() as collector, harness.cluster("--trace-otlp-endpoint", collector.endpoint, "--kv-bytes", "128MiB", "--engine-threads", "1",
                                                   model=model_file, prefill=1, decode=2) as server:
        targets = dict(server.metrics, gateway=server.port)
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        stop = threading.Event()
        clients = [threading.Thread(target=load, args=(server, model, stop)) for _ in range(3)]
        with prometheus.Prometheus(targets) as prom:
            for client in clients:
                client.start()
            try:
                harness.eventually(lambda: harness.metric(server.port, "troupe_gateway_completion_tokens_total") > 100, "load", 120)
                before = {name: series(port) for name, port in targets.items()}
                prometheus.wait_until(lambda: [where for where, query in asked if not prom.query(query)], "these are empty", 120)
            finally:
                stop.set()
                for client in clients:
                    client.join(120)
            check(len(prom.query('up{job="troupe"} == 1')) == len(targets), "every role is scraped")
            check_trace(server, prom, collector, ask_traced(server, model))
            known = {name for name in prom.api("label/__name__/values")}
            text = "".join(f.read_text() for f in prometheus.RULES.glob("*.yml")) + " ".join(query for _, query in asked)
            missing = set(re.findall(r"\b(?:troupe|vllm)[_:][a-z_:]+[a-z0-9_]*", text)) - known
            missing -= set(re.findall(r"(?:record: |runbook: deploy/RUNBOOK.md#)(\S+)", text))
            check(not {m for m in missing if not m.startswith("troupe:")}, f"nobody shows {sorted(missing)}")
        for name, port in targets.items():
            grown = series(port) - before[name]
            check(not grown, f"{name}: series that came with load: {sorted(grown)[:5]}")
            check(len(series(port)) < 1500, f"{name} has {len(series(port))} series")
            check_text(name, scrape(port))
            check(scrape(port, "application/openmetrics-text; version=1.0.0").endswith("# EOF\n"), f"{name} speaks OpenMetrics")
        check(server.stop() == 0, "the cluster drains and ends with 0")


main()

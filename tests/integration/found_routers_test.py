"""Processes that are told a Redis and no router: they find the routers that enter it, also one that comes later, and go on with
that one when the first dies."""
import contextlib
import http.client as http_client
import json
import pathlib
import sys
import tempfile

import harness
from harness import check, eventually, metric

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402
from cluster import Process  # noqa: E402


def make(folder):
    redis, http = harness.free_port(), harness.free_port()
    environment = {"TROUPE_CLUSTER_DIRECTORY": f"redis://127.0.0.1:{redis}/0", "TROUPE_ENGINE_THREADS": "1",
                   "TROUPE_KV_BYTES": "32MiB", "TROUPE_LOG_LEVEL": "warn"}
    model = tiny_model(folder, 5)

    def role(name, *more):
        port = harness.free_port()
        own = [] if name == "gateway" else ["--metrics-port", str(port)]
        return Process(name, [name.split("-")[0], "--model", model, *own, *more], environment, port, folder)

    processes = {
        "redis": Process("redis", ["--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                                   folder], {}, None, folder, "redis-server"),
        "decode": role("decode"), "router-0": role("router-0"), "router-1": role("router-1"),
        "gateway": role("gateway", "--http-port", str(http))}
    return processes, http


def ask(http, method, path, body=None):
    """(status, body); a gateway that does not listen yet is 0."""
    connection = http_client.HTTPConnection("127.0.0.1", http, timeout=60)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def answers(http):
    model = json.loads(ask(http, "GET", "/v1/models")[1])["data"][0]["id"]
    status, text = ask(http, "POST", "/v1/completions", {"model": model, "prompt": "once", "max_tokens": 5, "ignore_eos": True})
    return status == 200 and json.loads(text)["usage"]["completion_tokens"] == 5


def known(router):
    """Processes that a router counts; 0 while it does not listen yet."""
    with contextlib.suppress(OSError):
        return metric(router.metrics_port, "troupe_router_ready_nodes")
    return 0


def run(processes, http):
    for name in ("redis", "gateway", "decode", "router-0"):  # a worker waits for the first router
        processes[name].start()
    eventually(lambda: ask(http, "GET", "/readyz")[0] == 200, "the gateway found the router and a worker", 60)
    check(answers(http), "a request is answered")
    processes["router-1"].start()
    eventually(lambda: known(processes["router-1"]) >= 1,
               "the worker joins the router that came later", 60)
    processes["router-0"].kill()
    eventually(lambda: metric(http, "troupe_gateway_routers_lost_total") >= 1, "the gateway lost its router", 60)
    eventually(lambda: known(processes["router-1"]) >= 2,
               "the gateway turned to the other one", 60)
    check(answers(http), "a request is answered by the other router's word")
    processes["redis"].kill()
    check(answers(http), "nothing in use needs the Redis")


def main():
    harness.need_program("redis-server")
    with tempfile.TemporaryDirectory() as folder:
        processes, http = make(folder)
        try:
            run(processes, http)
        finally:
            for process in processes.values():
                if process.alive():
                    process.kill()
                process.log.close()
                print(pathlib.Path(folder, process.name + ".log").read_text(errors="replace")[-800:])


if __name__ == "__main__":
    main()

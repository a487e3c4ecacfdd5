"""SIGHUP while a process serves: what is reloadable works from the next request on, what is not waits for a restart and is said, a
broken file changes nothing, and a stream that runs notices none of it."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import sys
import tempfile

import harness
from harness import check, eventually, metric, series

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402


class Reloads:
    """A process, its configuration file, and what it says of both."""

    def __init__(self, server, file):
        self.server, self.file = server, file

    def count(self, outcome):
        return series(self.server.port, "troupe_process_config_reloads_total").get(f'outcome="{outcome}"', 0)

    def hang_up(self, text, outcome="taken"):
        """Writes the file, sends the signal, and waits until it was read."""
        before = self.count(outcome)
        self.file.write_text(text)
        self.server.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.count(outcome) == before + 1, f"the file was read: {outcome}")
        return self.config()

    def config(self):
        status, text = self.server.get("/config")
        check(status == 200, text)
        return json.loads(text)


def check_gateway(folder, model_file):
    file = pathlib.Path(folder, "serve.yaml")
    port = harness.free_port()
    start = f"http: {{port: {port}}}\ngateway: {{max_streams: 2}}\n"
    file.write_text(start)
    with harness.Server(["serve", "--config", str(file), "--model", model_file, "--engine-threads", "1", "--kv-bytes", "32MiB"],
                        port) as server:
        process = Reloads(server, file)
        model = json.loads(server.get("/v1/models")[1])["data"][0]["id"]
        body = {"model": model, "prompt": "once upon a time", "max_tokens": 4, "seed": 1, "ignore_eos": True}
        check(server.post("/v1/completions", {**body, "n": 3})[0] == 429, "three answers where two may be in flight")

        changed = f"http:\n  port: {port + 1}\ngateway: {{max_streams: 8}}\nrouter: {{policy: least_loaded}}\nlog: {{level: debug}}\n"
        config = process.hang_up(changed)
        check(server.post("/v1/completions", {**body, "n": 3})[0] == 200, "three answers where eight may be")
        check(config["gateway.max_streams"]["value"] == 8 and "pending" not in config["gateway.max_streams"], config)
        waits = config["http.port"]
        check((waits["value"], waits["pending"]["value"], waits["pending"]["place"]) == (port, port + 1, f"{file}:2"), waits)
        check(metric(port, "troupe_process_config_pending_options") == 1, "one option waits")
        check(f"option needs a restart option=http.port works_with={port} wanted={port + 1}" in server.log_text(), "it is logged")
        eventually(lambda: "least_loaded" in placed_by(server, body), "the router places by the new policy")

        check_http_limits(process, start, body)
        check(process.hang_up(changed) == config, "what is taken back is as it was")

        for text, says in (("gateway:\n  max_streams: 5\n  max_streems: 6\n", f"{file}:3"), ("gateway: {max_streams: -1}\n", f"{file}:1"),
                           ("gateway: [\n", "not YAML")):
            check(process.hang_up(text, "refused") == config, "a broken file changes nothing")
            check(says in server.log_text().split("the configuration is wrong")[-1], f"{says} is logged")
        file.unlink()
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: process.count("refused") == 4, "a file that is gone changes nothing either")

        long = {**body, "max_tokens": 60}
        whole = harness.stream(server, long)
        texts = files_with_limits(start)
        moved = harness.stream(server, long, lambda count: count % 12 == 1 and process.hang_up(next(texts)))
        check(moved == whole, "a stream goes on over reloads")
        check(metric(port, "troupe_process_config_pending_options") == 0, "what is taken back does not wait")
        check(server.stop() == 0, "it drains and ends with 0")


def check_http_limits(process, start, body):
    """Limits of HTTP and the audit log's file hold for what comes next; a request that has begun keeps what it began with."""
    server = process.server
    padded = json.dumps(body).encode() + b" " * 5000
    kept, begun = (http.client.HTTPConnection("127.0.0.1", server.port, timeout=60) for _ in range(2))
    check(post(kept, padded) == 200, "a long body where long ones may be")
    begun.putrequest("POST", "/v1/completions")
    begun.putheader("content-length", str(len(padded)))
    begun.putheader("expect", "100-continue")
    begun.endheaders()
    check(b" 100 " in begun.sock.recv(100), "its head was read, its body is waited for")

    audits = [process.file.with_name(name) for name in ("first.jsonl", "second.jsonl")]
    texts = [start.replace("}\ngateway", ", body_bytes: 1KiB, max_connections: 4}\ngateway")
             .replace("max_streams: 2", f"max_streams: 8, audit: {audit}") for audit in audits]
    config = process.hang_up(texts[0])
    for name in ("http.body_bytes", "http.max_connections", "gateway.audit"):
        check(config[name]["reloadable"] and "pending" not in config[name], config[name])
    begun.send(padded)
    check(status_of(begun) == 200, "the body of a request that had begun is taken")
    check(post(kept, padded) == 413, "that of the next request of a kept connection is not")
    check(post(begun, json.dumps(body)) == 200, "a short one is")
    eventually(lambda: audits[0].read_text().count("\n") == 2, "the two answers are written down")
    process.hang_up(texts[1])
    check(post(begun, json.dumps(body)) == 200, "a short one is, again")
    eventually(lambda: audits[1].read_text().count("\n") == 1, "where lines go now")

    crowd = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(8)]
    check(b" 503 " in crowd[-1].recv(100), "a fifth connection is refused")
    for connection in (*crowd, kept, begun):
        connection.close()
    eventually(lambda: answers(server), "there is room again")


def answers(server):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return server.get("/healthz")[0] == 200
    return False


def post(connection, data):
    connection.request("POST", "/v1/completions", data, {"content-type": "application/json"})
    return status_of(connection)


def status_of(connection):
    response = connection.getresponse()
    response.read()
    return response.status


def placed_by(server, body):
    server.post("/v1/completions", body)
    return server.get("/state")[1]


def files_with_limits(start):
    for limit in range(3, 1000):
        yield start.replace("max_streams: 2", f"max_streams: {limit}")


def check_router(folder):
    """A role without an API shows its configuration beside its metrics."""
    file, port = pathlib.Path(folder, "router.yaml"), harness.free_port()
    file.write_text("router: {first_token_slo: 1s}\n")
    with harness.Server(["router", "--config", str(file), "--metrics-port", str(port)], port) as server:
        process = Reloads(server, file)
        config = process.hang_up("router: {first_token_slo: 250ms}\ncluster: {heartbeat: 100ms}\n")
        check(config["router.first_token_slo"]["text"] == "250ms", config["router.first_token_slo"])
        check(config["cluster.heartbeat"]["text"] == "200ms" and config["cluster.heartbeat"]["pending"]["text"] == "100ms", config)
        check(server.stop() == 0, "it ends with 0")


def check_window_closed(folder):
    """A SIGHUP because the terminal is gone ends the process: nobody is left with one that no window shows."""
    port = harness.free_port()
    log = pathlib.Path(folder, "router.log")
    pid, terminal = os.forkpty()
    if pid == 0:
        out = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.execve(harness.TROUPE, [str(harness.TROUPE), "router", "--metrics-port", str(port)], harness.clean_environment())
    try:
        eventually(lambda: "ready" in log.read_text() if log.exists() else False, "the router is ready")
    finally:
        os.close(terminal)
    eventually(lambda: "draining" in log.read_text(), "it drains")
    check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "it ends with 0")


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_gateway(folder, tiny_model(folder, 5))
        check_router(folder)
        check_window_closed(folder)


main()

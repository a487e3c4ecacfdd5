"""Two routers, two decode workers, two gateways and a Redis, as real processes: a gateway, the router in use and Redis are
killed under streams. No request fails, and every stream is byte for byte what an undisturbed one sends; those of the dead
gateway are taken up at the other one."""
import http.client
import json
import os
import re
import signal
import threading

import harness
from harness import check, eventually, metric

STREAMS = 6


def body(model, i):
    return {"model": model, "prompt": f"Story {i}. Once upon a time", "max_tokens": 120, "seed": i, "stream": True,
            "temperature": 0.0 if i % 3 == 0 else 0.8, "n": 2 if i == 4 else 1, "stream_options": {"include_usage": True}}


class Reader:
    """Reads one stream, event by event, from wherever it can be had; `ports` are tried in turn."""

    def __init__(self, ports, request, after_event=lambda reader: None):
        self.ports, self.request, self.after_event = ports, request, after_event
        self.id, self.bytes, self.events, self.resumed, self.failure = None, b"", 0, 0, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            for attempt in range(40):
                if self.read_from(self.ports[attempt % len(self.ports)]):
                    return
                self.resumed += 1
            self.failure = "never came whole"
        except Exception as failure:  # shown by join()
            self.failure = repr(failure)

    def read_from(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            if self.id is None:
                connection.request("POST", "/v1/completions", json.dumps(self.request), {"content-type": "application/json"})
            else:
                connection.request("GET", f"/v1/requests/{self.id}/events?from={self.events}")
            response = connection.getresponse()
            if response.status == 503:
                return False
            if response.status != 200:
                raise AssertionError(f"{response.status}: {response.read()[:300]}")
            self.id = response.headers["x-request-id"]
            event = b""
            for line in response:
                event += line
                if line != b"\n":
                    continue
                if not event.startswith(b"id: %d\n" % self.events):
                    raise AssertionError(f"expected event {self.events}, found {event[:200]}")
                self.bytes += event
                self.events += 1
                if b"data: [DONE]" in event:
                    return True
                event = b""
                self.after_event(self)
            return False  # cut off
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def join(self):
        self.thread.join(300)
        check(self.failure is None, f"stream {self.request['seed']}: {self.failure}")
        return self.neutral()

    def neutral(self):
        """The bytes without what differs between two requests: id and time, and how much of the prompt was cached."""
        text = self.bytes.decode().replace(self.id, "ID")
        return re.sub(r'"cached_tokens":\d+', "", re.sub(r'"created":\d+', "", text))


def all_streams(ports, model, after_event=lambda reader: None):
    readers = [Reader(ports, body(model, i), after_event) for i in range(STREAMS)]
    return readers, [reader.join() for reader in readers]


def once(action, at_event):
    """Runs `action` when the first stream has got that far."""
    lock, done = threading.Lock(), []

    def after_event(reader):
        with lock:
            if reader.events >= at_event and not done:
                done.append(True)
                action()

    return after_event, done


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def post(port, request, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/v1/completions", json.dumps(request), {"content-type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test(server, redis):
    first, second = server.gateways
    eventually(lambda: b"ready" in get(second, "/readyz"), "the second gateway is ready")
    eventually(lambda: all(metric(server.metrics[f"router-{i}"], "troupe_router_ready_nodes") >= 2 for i in range(2)),
               "the workers have joined both routers")
    model = json.loads(get(first, "/v1/models"))["data"][0]["id"]
    _, expected = all_streams([first], model)

    # A gateway dies: its streams go on at the other, which has never seen them.
    kill_gateway, killed = once(lambda: os.kill(server.pid_of("gateway", f"--http-port={first}"), signal.SIGKILL), 20)
    readers, found = all_streams([first, second], model, kill_gateway)
    check(killed and found == expected, "streams of a dead gateway come whole and byte-equal")
    check(all(reader.resumed > 0 for reader in readers), f"all were taken up again: {[r.resumed for r in readers]}")
    for reader in readers:
        check(get(second, f"/v1/requests/{reader.id}/events?from=0") == reader.bytes, "and once more from the beginning")
    check(metric(second, "troupe_gateway_streams_resumed_total") >= 2 * STREAMS, "the second gateway made them again")
    eventually(lambda: b"ready" in get_or_nothing(first, "/readyz"), "the first gateway is back")
    check(get(first, f"/v1/requests/{readers[0].id}/events?from=7") ==
          readers[0].bytes[readers[0].bytes.index(b"id: 7\n"):], "it finds what it sent in its former life")

    # One key, one answer.
    whole = {**body(model, 3), "stream": False, "seed": None, "temperature": 1.0}
    del whole["stream_options"]
    answers = [post(port, whole, {"Idempotency-Key": "a story"}) for port in (first, second, first)]
    check(answers[0][0] == 200 and answers[1:] == [answers[0]] * 2, "a repeated request gets its answer, at both gateways")
    check(post(second, {**whole, "prompt": "Else"}, {"Idempotency-Key": "a story"})[0] == 422, "another one does not")

    # The router in use dies: its streams do not notice, new requests are placed.
    kill_router, killed = once(
        lambda: os.kill(server.pid_of("router", f"--metrics-port={server.metrics['router-0']}"), signal.SIGKILL), 10)
    _, found = all_streams([first, second], model, kill_router)
    check(killed and found == expected, "streams under a router's death are byte-equal")
    for _ in range(2):  # while the supervisor starts it again
        check(all_streams([first], model)[1] == expected, "and those that came after it")
    check(metric(first, "troupe_gateway_streams_failed_total") == 0, "no request failed")

    # Redis dies: nothing in flight notices, new requests go on.
    kill_redis, killed = once(redis.kill, 10)
    _, found = all_streams([first], model, kill_redis)
    check(killed and found == expected, "streams under Redis's death are byte-equal")
    readers, found = all_streams([second], model)
    check(found == expected, "and those that came after it")
    check(metric(second, "troupe_gateway_directory_reachable") == 0, "the gateway says that its directory is away")
    check(get(second, f"/v1/requests/{readers[0].id}/events?from=0") == readers[0].bytes, "its own streams it still knows")
    redis.start()
    eventually(lambda: metric(second, "troupe_gateway_directory_reachable") == 1, "the directory is back")
    check(sum(metric(port, "troupe_gateway_streams_failed_total") for port in server.gateways) == 0, "no request failed")
    check(server.stop() == 0, "the cluster drains and ends with 0")


def get_or_nothing(port, path):
    try:
        return get(port, path)
    except OSError:
        return b""


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    with harness.Redis() as redis:
        options = {"cluster": {"directory": f"redis://127.0.0.1:{redis.port}"}}
        with harness.cluster("--kv-bytes", "256MiB", "--engine-threads", "1", model=model_file, prefill=0, decode=2, routers=2,
                             gateways=2, options=options) as server:
            test(server, redis)


main()

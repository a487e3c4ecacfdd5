"""64 concurrent streams through four processes, a tenth of them cancelled at a random moment: no error, and pages,
descriptors, threads and in-flight counts are afterwards what they were before. `soak_test.py SECONDS` (default 120)."""
import contextlib
import http.client
import json
import os
import random
import sys
import threading
import time

import harness
from harness import check, eventually, metric

STREAMS = 64


def stream(server, model, rng, cancel):
    """One streamed chat; returns the number of events, or -1 when it was cancelled on purpose."""
    body = {"model": model, "stream": True, "max_tokens": rng.randrange(4, 48), "seed": rng.randrange(1 << 30),
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": "word " * rng.choice([3, 20, 80, 400]) + str(rng.randrange(1000))}]}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise AssertionError(f"{response.status}: {response.read()[:300]}")
        events, stop_after = 0, rng.randrange(1, 6)
        for line in response:
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                return events
            event = json.loads(line[6:])
            check("error" not in event, f"error event: {event}")
            events += 1
            if cancel and events >= stop_after:
                return -1
        raise AssertionError("a stream ended without [DONE]")
    finally:
        connection.close()


def counters(server):
    """What must return to where it was."""
    found = {}
    for pid in server.descendants():
        with contextlib.suppress(OSError):
            name = " ".join(open(f"/proc/{pid}/cmdline").read().split("\0")[1:2])
            found[f"{name} threads"] = len(os.listdir(f"/proc/{pid}/task"))
            found[f"{name} descriptors"] = len(os.listdir(f"/proc/{pid}/fd"))
    return found


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    with harness.cluster("--kv-bytes", "512MiB", "--disagg-min-prompt-tokens", "64", model=model_file) as server:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        workers = [server.metrics["prefill-0"], server.metrics["decode-0"]]
        rng = random.Random(1)
        for cancel in (False, True, False):  # everything that is opened once is open now
            stream(server, model, rng, cancel)
        eventually(lambda: all(metric(p, "troupe_worker_sequences_running") == 0 for p in workers), "idle workers")

        def held():
            return [metric(p, "troupe_worker_pages_pool") - metric(p, "troupe_worker_pages_free")
                    - metric(p, "troupe_worker_pages_cached") for p in workers]

        check(held() == [0, 0], f"pages held before: {held()}")
        before = counters(server)
        until, errors, done, cancelled = time.monotonic() + seconds, [], 0, 0
        lock = threading.Lock()

        def client(number):
            nonlocal done, cancelled
            mine = random.Random(number)
            while time.monotonic() < until and not errors:
                try:
                    events = stream(server, model, mine, mine.random() < 0.1)
                    with lock:
                        done, cancelled = (done, cancelled + 1) if events < 0 else (done + 1, cancelled)
                except Exception as error:  # noqa: BLE001 - every failure of a stream is the test's failure
                    errors.append(repr(error))

        clients = [threading.Thread(target=client, args=(i,)) for i in range(STREAMS)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        print(f"{done} streams finished, {cancelled} cancelled, errors: {errors[:3]}")
        check(not errors, errors[:3])
        check(done > 0 and cancelled > 0, "nothing was tried")
        eventually(lambda: all(metric(p, "troupe_worker_sequences_running") == 0 for p in workers), "idle workers")
        eventually(lambda: held() == [0, 0], f"no page held, were {held()}")
        eventually(lambda: json.loads(server.get("/state")[1])["in_flight"] == 0, "no request in flight")
        eventually(lambda: all(now <= before.get(key, 0) for key, now in counters(server).items()),
                   f"counters back to {before}, are {counters(server)}")
        check(server.stop() == 0, "up did not end cleanly")


main()

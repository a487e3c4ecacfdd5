"""A decode worker with a draft service beside it, which is killed and stopped under load again and again: no stream fails or changes,
and guesses come true again afterwards. `--kills N` for more than the few of CI."""
import argparse
import concurrent.futures
import json
import os
import signal
import tempfile
import time

import harness
from harness import check, eventually, metric, series

PROMPTS = ["Once upon a time there was a fox who", "The three laws of motion are", "def add(a, b):\n", "In the city of Paris",
           "1, 2, 3, 4, 5, 6,", "A list of animals: cat, dog,"]


def start(model_file):
    """router, decode, draft, gateway. The target drafts for itself: no smaller model of its vocabulary is at hand."""
    http, ports = harness.free_port(), {name: harness.free_port() for name in ("decode", "draft")}
    processes = [{"role": "router"},
                 {"role": "decode", "options": {"metrics": {"port": ports["decode"]}, "engine": {"threads": 1}}},
                 {"role": "draft", "options": {"metrics": {"port": ports["draft"]}, "engine": {"threads": 1},
                                               "draft": {"model": [model_file]}, "kv": {"bytes": "64MiB"}}},
                 {"role": "gateway", "options": {"http": {"port": http}}}]
    options = {"model": [model_file], "supervisor": {"restart_first": "100ms", "restart_longest": "400ms"}}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"options": options, "processes": processes}, file)  # JSON is YAML
        file.flush()
        return harness.Server(["up", file.name], http), ports


def bodies(model):
    for i, prompt in enumerate(PROMPTS):
        yield {"model": model, "prompt": prompt, "max_tokens": 48, "seed": i, "temperature": 0 if i % 2 == 0 else 0.7}


def ask(server, body, drafter):
    return harness.stream(server, body | {"troupe": {"speculation": {"drafter": drafter}}})


class Load:
    """Streams one after another on some threads until it is told to end; every answer is compared."""

    def __init__(self, server, requests, expected, threads=3):
        self.server, self.requests, self.expected = server, requests, expected
        self.going, self.answers = True, 0
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)
        self.runs = [self.pool.submit(self.run, i) for i in range(threads)]

    def run(self, first):
        at = first
        while self.going:
            body = self.requests[at % len(self.requests)]
            got = ask(self.server, body, "draft-service")
            check(got == self.expected[at % len(self.requests)], f"the answer to {body} changed:\n{got}")
            self.answers += 1
            at += 1

    def end(self):
        self.going = False
        for run in self.runs:
            run.result()
        self.pool.shutdown()


def guesses(ports):
    """That came in time. Whether verifying them pays is the machine's business."""
    return metric(ports["decode"], "troupe_draft_client_guesses_total")


def of_service(ports, name):
    return sum(v for labels, v in series(ports["decode"], name).items() if "draft-service" in labels)


def answers_more(load, count):
    before = load.answers
    eventually(lambda: load.answers >= before + count or any(run.done() for run in load.runs), "streams go on", 120)


def disturb(server, ports, kill):
    pid = harness.pid_of(server, "draft", ports["draft"])
    if kill % 2 == 0:
        os.kill(pid, signal.SIGKILL)
        return
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1)  # long enough to be taken for hung
    os.kill(pid, signal.SIGCONT)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=3)
    kills = parser.parse_args().kills
    server, ports = start(harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf"))
    try:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        requests = list(bodies(model))
        expected = [ask(server, body, "off") for body in requests]
        there = lambda: metric(ports["decode"], "troupe_draft_client_services_count") == 1
        eventually(there, "the draft service is there")
        load = Load(server, requests, expected)
        try:
            eventually(lambda: guesses(ports) > 0, "guesses come", 60)
            for kill in range(kills):
                answers_more(load, 2)
                disturb(server, ports, kill)
                answers_more(load, 2)
                eventually(there, "the draft service is there again", 60)
            before = guesses(ports)
            eventually(lambda: guesses(ports) > before, "guesses come again", 60)
        finally:
            load.end()
        late, stale, lost = harness.metrics(ports["decode"], ["troupe_draft_client_late_total", "troupe_draft_client_stale_total",
                                                              "troupe_draft_client_lost_total"], required=True)
        verified, accepted = (of_service(ports, f"troupe_worker_draft_{what}_total") for what in ("rows", "accepted"))
        check(verified < 16 or accepted > 0, f"of {verified} guesses that were verified none came true")
        check(server.stop() == 0, "the cluster did not drain")
    finally:
        server.kill()
    print(f"{kills} kills and stops, {load.answers} streams equal; orders late {late:.0f}, lost {lost:.0f}, stale answers {stale:.0f}")


if __name__ == "__main__":
    main()

"""Streams while processes die: `chaos.py --kills N --seed S [--model FILE] [--streams 64] [--results FILE]`.

64 clients keep streaming completions from a pool whose answers were noted on an undisturbed process. Meanwhile a seeded list
of events strikes the cluster (two gateways, two routers, prefill and decode workers, Redis): a process is killed (SIGKILL),
frozen for longer than its peers wait (SIGSTOP) or for a moment, or restarted as an operator does (SIGTERM), in every role in
turn; and the network between them (proxy.py) parts a process from all others, cuts its connections, damages, repeats or delays
messages. Clients try again what is refused, and take up a stream at the other gateway when its own dies. What must hold: no
request fails, every text equals the undisturbed one (so no token is lost, doubled or different), and five seconds after the
last event nothing is held: pages, requests, descriptors, threads.

An event waits until every request that saw the one before has ended: a request that is present at two deaths is refused by
design. Replay a run by its seed; `--from K` goes on at event K. Without --model a seeded tiny model is made."""
import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from cluster import Cluster, Network, harness
from client import Stream, stream  # after cluster, which makes harness known
from harness import check, eventually

POOL = 48
OPTIONS = {"engine.threads": 1, "engine.pin_threads": "off", "log.level": "warn", "disagg.min_prompt_tokens": 64}
FREEZE_LONG, FREEZE_SHORT = 3.0, 0.3


def pool_of(rng, tokens):
    """Requests: short and long prompts, greedy and sampled, with a common beginning in a third of them."""
    letters = "abcdefghijklmnopqrstuvwxyz "
    common = "".join(rng.choices(letters, k=250))
    pool = []
    for i in range(POOL):
        text = "".join(rng.choices(letters, k=rng.choice([5, 40, 150, 300])))
        pool.append({"prompt": (common if i % 3 == 0 else "") + text, "max_tokens": rng.randrange(tokens // 4, tokens),
                     "seed": i, "temperature": 0.0 if i % 4 == 0 else 0.9})
    return pool


class Clients:
    """Threads that stream without pause and compare."""

    def __init__(self, ports, pool, expected, count, seed):
        self.ports, self.pool, self.expected = ports, pool, expected
        self.lock = threading.Lock()
        self.errors, self.done, self.resumed, self.tokens, self.serial = [], 0, 0, 0, 0
        self.running = {}  # serial of each request under way
        self.gaps = []     # (when, seconds) of every wait above 0.1 s
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(random.Random(f"{seed} client {i}"),)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, rng):
        while not self.stopping.is_set() and not self.errors:
            at = rng.randrange(len(self.pool))
            with self.lock:
                self.serial += 1
                mine = self.serial
                self.running[mine] = at
            try:
                reader = Stream(self.ports, self.pool[at], self.saw)
                got = reader.run()
                check(got == self.expected[at], f"request {at} differs:\n{got}\n{self.expected[at]}")
                with self.lock:
                    self.done += 1
                    self.resumed += reader.resumed
                    self.tokens += got[2]
            except Exception as error:  # noqa: BLE001 - every failure of a stream is the run's failure
                self.errors.append(f"request {at}: {error!r}")
            finally:
                with self.lock:
                    del self.running[mine]

    def saw(self, gap):
        if gap > 0.1:
            with self.lock:
                self.gaps.append((time.monotonic(), gap))

    def wait_for_those_of_now(self):
        """Until every request that runs now has ended."""
        with self.lock:
            last = self.serial
        until = time.monotonic() + 90
        while not self.errors:
            with self.lock:
                if all(serial > last for serial in self.running):
                    return
            check(time.monotonic() < until, "requests hang")
            time.sleep(0.01)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def plan(seed, kills):
    """The events, by number: (what, role, which)."""
    kinds = [("kill", "decode"), ("kill", "prefill"), ("part", "decode"), ("damage", "control"), ("kill", "decode"),
             ("freeze", "decode"), ("kill", "router"), ("damage", "data"), ("pause", "decode"), ("kill", "decode"),
             ("repeat", "control"), ("freeze", "prefill"), ("cut", "decode"), ("pause", "router"), ("repeat", "data"),
             ("kill", "decode"), ("part", "prefill"), ("delay", "control"), ("cut", "router"), ("kill", "prefill"), ("freeze", "router"), ("roll", "decode"),
             ("roll", "prefill"), ("roll", "router"), ("roll", "gateway"), ("kill", "gateway"), ("kill", "redis"),
             ("freeze", "gateway"), ("freeze", "redis")]
    return [(*kinds[i % len(kinds)], random.Random(f"{seed} event {i}").random()) for i in range(kills)]


NETWORK = {"part": ("hold", 1.0, FREEZE_LONG), "cut": ("cut", 1.0, 0.0), "damage": ("damage", 0.02, 1.0),
           "repeat": ("repeat", 0.2, 1.0), "delay": ("delay", 0.3, 1.0)}


def disturb(cluster, event):
    """A fault of the network for a while: of one process's links, or of all links of a plane."""
    what, where, which = event
    fault, share, seconds = NETWORK[what]
    net = cluster.network
    if where in ("control", "data"):
        links = [name for name in net.links if name.endswith("data") == (where == "data")]
    elif where == "router":
        links = [name for name in net.links if name.split()[1].startswith("router")]
    else:
        members = cluster.of(where)
        where = members[int(which * len(members))].name
        links = net.of(where, "router", "control", "data")
    net.fault(fault, links, share)
    time.sleep(seconds)
    net.heal()
    return where


def strike(cluster, event):
    what, role, which = event
    if what in NETWORK:
        return disturb(cluster, event)
    members = cluster.of(role)
    victim = members[int(which * len(members))]
    if what == "roll":
        victim.stop()
        victim.start()
    elif what == "kill":
        victim.kill()
        time.sleep(0.2)
        victim.start()
    else:
        victim.signal(signal.SIGSTOP)
        time.sleep(FREEZE_LONG if what == "freeze" else FREEZE_SHORT)
        victim.signal(signal.SIGCONT)
    return victim.name


def leftovers(cluster):
    """What a worker holds when nothing runs; all of it must be zero."""
    held = {}
    for process in cluster.of("decode") + cluster.of("prefill"):
        values = {name: process.metric("troupe_worker_" + name) for name in
                  ("pages_pool", "pages_free", "pages_cached", "pages_reserved", "sequences_running", "sequences_waiting")}
        held[process.name] = [values["pages_pool"] - values["pages_free"] - values["pages_cached"], values["pages_reserved"],
                              values["sequences_running"], values["sequences_waiting"]]
    held["in flight"] = [json.loads(cluster.get(i, "/state")[1])["in_flight"] for i in range(len(cluster.http_ports))]
    held["placements"] = [router.metric("troupe_router_placed_requests") for router in cluster.of("router")]
    return held


def all_zero(held):
    return all(value == 0 for values in held.values() for value in values)


def noted(options, model):
    """The pool and its answers by one undisturbed process."""
    pool = pool_of(random.Random(options.seed), options.tokens)
    with harness.serve("--kv-bytes", options.kv_bytes, "--engine-threads", "1", model=model) as server:
        name = json.loads(server.get("/v1/models")[1])["data"][0]["id"]
        for body in pool:
            body["model"] = name
        expected = [stream([server.port], body) for body in pool]
        check(server.stop() == 0, "serve did not end cleanly")
    return pool, expected


def run(options, model):
    pool, expected = noted(options, model)
    events = plan(options.seed, options.kills)[options.first:]
    with Cluster(model, {**OPTIONS, "kv.bytes": options.kv_bytes}, gateways=2, routers=2, redis=True, network=Network(options.seed)) as cluster:
        for body in pool[:8]:
            check(stream(cluster.http_ports, body) == expected[pool.index(body)], "the cluster answers as one process does")
        eventually(lambda: all_zero(leftovers(cluster)), "nothing is held before")
        survivor = cluster.processes["gateway-0"]
        before, began = survivor.held(), time.monotonic()
        clients = Clients(cluster.http_ports, pool, expected, options.streams, options.seed)
        marks = []
        try:
            for number, event in enumerate(events, options.first):
                clients.wait_for_those_of_now()
                if clients.errors:
                    break
                at = time.monotonic()
                victim = strike(cluster, event)
                cluster.wait_whole()
                marks.append((at, event[0], event[1], time.monotonic() - at))
                if options.verbose or (number + 1) % 50 == 0:
                    print(f"event {number}: {event[0]} {victim}; {clients.done} streams, {time.monotonic() - began:.0f} s",
                          flush=True)
            if not clients.errors:
                clients.wait_for_those_of_now()
        finally:
            clients.stop()
        check(not clients.errors, f"after event {options.first + len(marks)} of seed {options.seed}: {clients.errors[:3]}")
        over = time.monotonic()
        eventually(lambda: all_zero(leftovers(cluster)), "nothing is held after", options.settle)
        eventually(lambda: all(now <= before[key] + 2 for key, now in survivor.held().items()),
                   f"the gateway's {before} are back, are {survivor.held()}", options.settle)
        return report(options, clients, marks, cluster.network.counts(), time.monotonic() - over, over - began)


def report(options, clients, marks, network, settled, seconds):
    worst = {}
    ends = [mark[0] for mark in marks[1:]] + [float("inf")]
    for (at, what, role, _), end in zip(marks, ends):
        after = [gap for when, gap in clients.gaps if at <= when < end]
        worst.setdefault(f"{what} {role}", []).append(max(after, default=0.0))
    result = {"seed": options.seed, "first_event": options.first, "events": len(marks), "streams": options.streams,
              "requests": clients.done, "resumed": clients.resumed, "tokens": clients.tokens, "failed_or_different": len(clients.errors),
              "messages": network, "seconds": round(seconds, 1), "settled_after_s": round(settled, 2),
              "longest_wait_s": {key: {"median": round(statistics.median(v), 2), "max": round(max(v), 2), "events": len(v)}
                                 for key, v in sorted(worst.items())}}
    conclude(options, result)


def conclude(options, result):
    print(json.dumps(result, indent=1))
    if options.results:
        os.makedirs(os.path.dirname(options.results) or ".", exist_ok=True)
        with open(options.results, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


def tiny_model(folder, seed, shape="tiny-llama"):
    path = os.path.join(folder, shape + ".gguf")
    maker = harness.TROUPE.parent / "make_shaped_model"
    subprocess.run([maker, "--shape", shape, "--type", "q4_1", "--seed", str(seed), "--out", path], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def add_common(parser):
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=400, help="of an answer at most")
    parser.add_argument("--kv-bytes", default="64MiB")
    parser.add_argument("--model", help="a GGUF file; without it a tiny one is made")
    parser.add_argument("--settle", type=float, default=5, metavar="S", help="seconds until nothing may be held any more")
    parser.add_argument("--results", metavar="FILE")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="events of the whole run")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="K")
    parser.add_argument("--streams", type=int, default=64)
    add_common(parser)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, options.model or tiny_model(folder, options.seed))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
    sys.exit(0)

"""Streams while processes die: `chaos.py --kills N --seed S [--network namespaces] [--model FILE] [--results FILE]`.

64 clients keep streaming completions from a pool whose answers were noted on an undisturbed process. Meanwhile a seeded list
of events strikes the cluster (two gateways, two routers, prefill and decode workers, Redis): processes are killed, frozen and
restarted in every role in turn, their disk fills up, and the network between them fails, by a proxy that holds, cuts, damages,
repeats, delays and loses messages or, with --network namespaces, by packets that vanish, links that are down or narrow
(faults.py lists all kinds). Clients try again what is refused, and take up a stream at the other gateway when its own dies. What
must hold: no request fails, every text equals the undisturbed one (so no token is lost, doubled or different), and five seconds
after the last event nothing is held: pages, requests, descriptors, threads.

An event waits until every request that saw the one before has ended: a request that is present at two deaths is refused by
design. Replay a run by its seed; `--from K` goes on at event K. Without --model a seeded tiny model is made."""
import argparse
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from cluster import Cluster, Network, harness
import faults  # after cluster, which makes harness known
from client import Stream, stream
from harness import check, eventually
from wires import Wires, obstacle

POOL = 48
OPTIONS = {"engine.threads": 1, "engine.pin_threads": "off", "log.level": "warn", "disagg.min_prompt_tokens": 64}
DISK_MEGABYTES = 32


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


@contextlib.contextmanager
def network_of(options):
    """The Cluster's `network` or `wires`."""
    reason = obstacle() if options.network == "namespaces" else None
    with contextlib.ExitStack() as stack:
        if options.network == "namespaces" and reason is None:
            try:
                wires = stack.enter_context(Wires())
            except OSError as failed:
                reason = failed
            else:
                print("network: namespaces", flush=True)
                yield {"wires": wires}
                return
    print(f"network: proxy{f' (no namespaces here: {reason})' if reason else ''}", flush=True)
    options.network = "proxy"
    yield {"network": Network(options.seed)}  # ends with the cluster


@contextlib.contextmanager
def cluster_of(options, model):
    """With what faults.py strikes."""
    # So little room that pages come and go all the time, and a short pause when it is refused.
    settings = {**OPTIONS, "kv.bytes": options.kv_bytes, "kv.disk.capacity": options.disk_capacity, "kv.disk.retry": "500ms"}
    with network_of(options) as network:
        if options.network == "namespaces":
            settings["kv.transfer_shared_bytes"] = 0  # or pages would pass beside the network
        with Cluster(model, settings, gateways=2, routers=2, redis=True, disk_megabytes=DISK_MEGABYTES, **network) as cluster:
            yield cluster


class Replaced:
    """How soon streams went on that lost their worker: the time to the next token over the one that the router predicted for
    computing or fetching what is missing. A router that is killed takes its counts with it: they are noted before each event."""
    SERIES = "troupe_router_first_token_ratio_bucket"

    def __init__(self):
        self.counts = {}  # process -> bound -> placements

    def note(self, cluster):
        for router in cluster.of("router"):
            with contextlib.suppress(OSError):
                found = harness.series(router.metrics_port, self.SERIES, host=router.host)
                self.counts[router.pid] = {re.search(r'le="([^"]*)"', labels)[1]: value for labels, value in found.items()
                                           if 'placed="again"' in labels}

    def figures(self):
        total = {}
        for counts in self.counts.values():
            for bound, value in counts.items():
                total[bound] = total.get(bound, 0) + value
        placed = total.get("+Inf", 0)
        within = {f"within_{bound}x": round(value / placed, 4) for bound, value in total.items() if placed and bound in ("1.5", "2.0", "3.0")}
        return {"placed_again": int(placed), **within}


def strike_all(options, cluster, clients, began, replaced):
    """Every event of the plan. Returns (when, what, role, seconds) of each, and those that cannot be done here, counted."""
    marks, skipped = [], {}
    events = faults.plan(options.seed, options.kills, options.network == "namespaces")[options.first:]
    for number, event in enumerate(events, options.first):
        clients.wait_for_those_of_now()
        if clients.errors:
            break
        replaced.note(cluster)
        at = time.monotonic()
        victim = faults.strike(cluster, event)
        if victim is None:
            kind = f"{event[0]} {event[1]}"
            skipped[kind] = skipped.get(kind, 0) + 1
            continue
        cluster.wait_whole()
        marks.append((at, event[0], event[1], time.monotonic() - at))
        if options.verbose or (number + 1) % 50 == 0:
            print(f"event {number}: {event[0]} {victim}; {clients.done} streams, {time.monotonic() - began:.0f} s", flush=True)
    if not clients.errors:
        clients.wait_for_those_of_now()
    return marks, skipped


def run(options, model):
    pool, expected = noted(options, model)
    with cluster_of(options, model) as cluster:
        for body in pool[:8]:
            check(stream(cluster.gateways, body) == expected[pool.index(body)], "the cluster answers as one process does")
        eventually(lambda: all_zero(leftovers(cluster)), "nothing is held before")
        survivor = cluster.processes["gateway-0"]
        before, began = survivor.held(), time.monotonic()
        clients = Clients(cluster.gateways, pool, expected, options.streams, options.seed)
        marks, skipped, replaced = [], {}, Replaced()
        try:
            marks, skipped = strike_all(options, cluster, clients, began, replaced)
        finally:
            clients.stop()
        check(not clients.errors, f"after event {options.first + len(marks)} of seed {options.seed}: {clients.errors[:3]}")
        over = time.monotonic()
        eventually(lambda: all_zero(leftovers(cluster)), "nothing is held after", options.settle)
        eventually(lambda: all(now <= before[key] + 2 for key, now in survivor.held().items()),
                   f"the gateway's {before} are back, are {survivor.held()}", options.settle)
        replaced.note(cluster)
        return report(options, cluster, clients, (marks, skipped, replaced), time.monotonic() - over, over - began)


def report(options, cluster, clients, struck, settled, seconds):
    worst = {}
    marks, skipped, replaced = struck
    ends = [mark[0] for mark in marks[1:]] + [float("inf")]
    for (at, what, role, _), end in zip(marks, ends):
        after = [gap for when, gap in clients.gaps if at <= when < end]
        worst.setdefault(f"{what} {role}", []).append(max(after, default=0.0))
    network = cluster.wires.counts() if cluster.wires else cluster.network.counts()
    result = {"seed": options.seed, "network": options.network, "first_event": options.first, "events": len(marks),
              "cannot_be_done_here": skipped, "streams": options.streams, "requests": clients.done, "resumed": clients.resumed,
              "tokens": clients.tokens, "failed_or_different": len(clients.errors),
              "packets" if cluster.wires else "messages": network, "disk": disk_figures(cluster),
              "next_token_over_predicted": replaced.figures(),
              "seconds": round(seconds, 1), "settled_after_s": round(settled, 2),
              "longest_wait_s": {key: {"median": round(statistics.median(v), 2), "max": round(max(v), 2), "events": len(v)}
                                 for key, v in sorted(worst.items())}}
    conclude(options, result)


def disk_figures(cluster):
    """Of the workers as they are now: those that were killed have forgotten theirs."""
    workers = cluster.of("decode") + cluster.of("prefill")
    return {name: sum(worker.metric(f"troupe_kv_disk_{name}_total") for worker in workers)
            for name in ("writes", "hits", "dropped", "errors")}


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
    parser.add_argument("--network", choices=["proxy", "namespaces"], default="proxy",
                        help="what its faults are made by; namespaces need root, iptables and tbf, else it is the proxy again")
    parser.add_argument("--disk-capacity", default="4MiB", help="of one worker's pages")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, options.model or tiny_model(folder, options.seed))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
    sys.exit(0)

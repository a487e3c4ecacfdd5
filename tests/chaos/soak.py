"""A day's requests in an hour: `soak.py [--minutes 60] [--rate 24] [--results FILE]`.

Two gateways, two routers, Redis, one prefill and three decode workers with a disk tier, a seeded tiny model. At --rate requests a
second, which in an hour are as many as one a second in a day: streams and whole answers, every prompt a new one or one of a few that
return, every caller one of thousands (each a tenant of its own), one in twenty hangs up in the middle, one in twenty is no request
at all; every half minute somebody looks at the dashboard and goes. What must hold: nothing but what is
wrong with a request is ever answered by an error (refusals of a busy machine are counted), and from the second fifth of the run to the
last one no process has 10 % more memory, and none more descriptors, threads or series of metrics beyond what a connection or two make.
Prints that as ratios and differences."""
import argparse
import contextlib
import http.client
import json
import random
import statistics
import sys
import tempfile
import threading
import time

import chaos
from cluster import Cluster, harness
from harness import check, eventually
from overload import resident

THREADS = 12
CALLERS = 5000
SLACK = 12  # descriptors of connections that come and go


class Refused(Exception):
    """429 or 503: the machine is busy with something else, and says so."""


class Load:
    """Threads that ask, each at its share of the rate."""

    def __init__(self, cluster, model, options):
        self.cluster, self.model, self.pause = cluster, model, THREADS / options.rate
        self.lock, self.counts, self.errors = threading.Lock(), {}, []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(random.Random(f"{options.seed} {i}"),)) for i in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def work(self, rng):
        due = time.monotonic() + rng.random() * self.pause
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.pause * rng.expovariate(1), time.monotonic() - 10 * self.pause)  # a stall is not made up for
            kind = rng.choices(["stream", "whole", "hang up", "wrong"], [60, 30, 5, 5])[0]
            try:
                self.ask(rng, kind)
            except Refused:
                kind = "refused"
            except Exception as error:  # noqa: BLE001 - every failure is the run's failure
                self.errors.append(f"{kind}: {error!r}")
            with self.lock:
                self.counts[kind] = self.counts.get(kind, 0) + 1

    def body(self, rng, kind):
        if kind == "wrong":
            return rng.choice(["{", "[]", json.dumps({"model": "nobody", "prompt": "x"}), json.dumps({"model": self.model}),
                               json.dumps({"model": self.model, "prompt": "x", "max_tokens": -1}),
                               json.dumps({"model": self.model, "prompt": "long " * 20000})])
        text = f"caller {rng.randrange(20)} " * rng.choice([1, 4, 12]) if rng.random() < 0.3 else f"{rng.random()} " * rng.choice([1, 5, 20])
        return json.dumps({"model": self.model, "prompt": text, "max_tokens": rng.choice([4, 16, 48]), "stream": kind != "whole",
                           "temperature": rng.choice([0.0, 0.8]), "seed": rng.randrange(1 << 30)})

    def ask(self, rng, kind):
        with contextlib.closing(http.client.HTTPConnection(rng.choice(self.cluster.gateways), timeout=60)) as connection:
            connection.request("POST", "/v1/completions", self.body(rng, kind),
                               {"content-type": "application/json", "authorization": f"Bearer caller-{rng.randrange(CALLERS)}"})
            response = connection.getresponse()
            if kind == "wrong":
                check(400 <= response.status < 500, f"{response.status} to what is no request")
            else:
                if response.status in (429, 503):
                    raise Refused
                check(response.status == 200, f"{response.status} with request {response.getheader('x-request-id')}")
            if kind == "hang up":
                response.readline()
            else:
                text = response.read()
                check(kind != "stream" or text.rstrip().endswith(b"data: [DONE]"), f"a stream ends with {text[-200:]}")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def look(cluster):
    """A dashboard that is opened and left."""
    with contextlib.closing(http.client.HTTPConnection(cluster.gateways[0], timeout=10)) as connection:
        connection.request("GET", "/events/cluster")
        connection.getresponse().readline()
    cluster.get(1, "/state")


def sample(cluster):
    """Of each process: kilobytes, descriptors, threads, series."""
    found = {}
    for name, process in cluster.processes.items():
        values = {"memory": resident(process), **process.held()}
        if name != "redis":
            port = process.metrics_port or cluster.http_ports[int(name.split("-")[1])]
            values["series"] = sum(1 for line in harness.scrape(port).splitlines() if line and not line.startswith("#"))
        found[name] = values
    return found


def growth(samples):
    """(what of each process changed from the second fifth to the last, the largest by kind)."""
    fifth = len(samples) // 5
    early, late = samples[fifth:2 * fifth], samples[-fifth:]
    def middle(some, name, kind):
        return statistics.median(each[name][kind] for each in some)
    found = {name: {kind: (middle(early, name, kind), middle(late, name, kind)) for kind in kinds} for name, kinds in samples[0].items()}
    worst = {kind: max(late - early for values in found.values() for k, (early, late) in values.items() if k == kind)
             for kind in ("descriptors", "threads", "series")}
    worst["memory"] = round(max(late / early for early, late in (values["memory"] for values in found.values())), 3)
    return found, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=24, help="requests a second")
    parser.add_argument("--interval", type=float, default=15, metavar="S", help="between two looks at the processes")
    chaos.add_common(parser)
    options = parser.parse_args()
    check(options.minutes * 60 / options.interval >= 20, "too short to compare its fifths")
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or chaos.tiny_model(folder, options.seed)
        # What is kept of requests for an hour of one a second is kept for as many of them here.
        settings = {**chaos.OPTIONS, "kv.bytes": options.kv_bytes, "kv.disk.capacity": "8MiB", "request.record_time": "150s"}
        with Cluster(model, settings, gateways=2, routers=2, redis=True, disk_megabytes=chaos.DISK_MEGABYTES) as cluster:
            name = json.loads(cluster.get(0, "/v1/models")[1])["data"][0]["id"]
            load, samples, began = Load(cluster, name, options), [], time.monotonic()
            try:
                while time.monotonic() < began + options.minutes * 60 and not load.errors:
                    time.sleep(options.interval)
                    samples.append(sample(cluster))
                    if len(samples) % 2:
                        look(cluster)
            finally:
                load.stop()
            check(not load.errors, load.errors[:3])
            eventually(lambda: chaos.all_zero(chaos.leftovers(cluster)), "nothing is held", options.settle + 60)
            found, worst = growth(samples)
            chaos.conclude(options, {"minutes": options.minutes, "requests": load.counts, "samples": len(samples), "largest_growth": worst,
                                     "early_and_late": found})
            check(worst["memory"] <= 1.10, f"memory grows: {worst}")
            check(worst["descriptors"] <= SLACK and worst["threads"] <= 0 and worst["series"] <= SLACK, f"something grows: {worst}")


if __name__ == "__main__":
    main()
    sys.exit(0)

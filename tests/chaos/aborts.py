"""Clients that give up at every stage: `aborts.py --aborts N --seed S [--results FILE]`.

32 clients each start a request and leave it: after a part of its body, before an answer, while the prompt is computed or its
pages are under way, after some events of the stream; and every eighth request is read to its end and compared with an
undisturbed run, so that a stale transfer into pages that others reuse would show. What must hold: no answer differs, and five
seconds after the last one pages, reservations, sequences, requests and placements are back to nothing."""
import argparse
import json
import random
import socket
import sys
import tempfile
import threading
import time

import chaos
from cluster import Cluster, harness
from harness import check, eventually

CLIENTS = 32


def abandon(port, body, rng):
    """Starts a request and goes. Returns at which stage."""
    stage = rng.choice(["body", "asked", "headers", "stream", "whole"])
    text = json.dumps({**body, "stream": stage != "whole"}).encode()
    head = (f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"connection: close\r\ncontent-length: {len(text)}\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        if rng.random() < 0.5:  # the peer sees a reset instead of an end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if stage == "body":
            connection.sendall(head + text[:rng.randrange(len(text))])
            return stage
        connection.sendall(head + text)
        if stage in ("asked", "whole"):
            time.sleep(rng.random() ** 2 * 0.1)
            return stage
        wanted = 1 if stage == "headers" else rng.randrange(200, 20000)
        got = 0
        while got < wanted and (piece := connection.recv(min(4096, wanted - got))):
            got += len(piece)
    return stage


def unseen(rng):
    """A prompt no cache holds: its pages are computed and sent."""
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=rng.choice([20, 100, 400, 900])))


class Leavers:
    def __init__(self, port, pool, expected, aborts, seed):
        self.lock = threading.Lock()
        self.left, self.stages, self.compared, self.refused, self.errors = aborts, {}, 0, 0, []
        self.threads = [threading.Thread(target=self.work, args=(port, pool, expected, random.Random(f"{seed} {i}")))
                        for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def work(self, port, pool, expected, rng):
        while not self.errors:
            with self.lock:
                if self.left == 0:
                    return
                self.left -= 1
                witness = self.left % 8 == 0
            at = rng.randrange(len(pool))
            try:
                if witness:
                    got = chaos.stream([port], pool[at])
                    check(got == expected[at], f"request {at} differs:\n{got}\n{expected[at]}")
                stage = abandon(port, {**pool[at], "prompt": unseen(rng)}, rng)
                with self.lock:
                    self.compared += witness
                    self.stages[stage] = self.stages.get(stage, 0) + 1
            except Exception as error:  # noqa: BLE001 - whatever a client meets is the run's failure
                self.errors.append(f"request {at}: {error!r}")

    def join(self):
        for thread in self.threads:
            thread.join()


def run(options, model):
    pool, expected = chaos.noted(options, model)
    with Cluster(model, {**chaos.OPTIONS, "kv.bytes": options.kv_bytes}, decode=2) as cluster:
        for body, answer in zip(pool[:8], expected):
            check(chaos.stream(cluster.http_ports, body) == answer, "the cluster answers as one process does")
        eventually(lambda: chaos.all_zero(chaos.leftovers(cluster)), "nothing is held before")
        gateway = cluster.processes["gateway-0"]
        before, began = gateway.held(), time.monotonic()
        leavers = Leavers(cluster.http_ports[0], pool, expected, options.aborts, options.seed)
        leavers.join()
        check(not leavers.errors, f"seed {options.seed}: {leavers.errors[:3]}")
        over = time.monotonic()
        try:
            eventually(lambda: chaos.all_zero(chaos.leftovers(cluster)), "nothing is held", options.settle)
        except AssertionError:
            print(chaos.leftovers(cluster))
            raise
        settled = time.monotonic() - over
        eventually(lambda: all(now <= before[key] + 2 for key, now in gateway.held().items()),
                   f"the gateway's {before} are back, are {gateway.held()}", options.settle)
        sent = [process.metric("troupe_worker_transfer_frames_sent_total") for process in cluster.of("prefill")]
        refused = [process.metric("troupe_worker_transfer_frames_refused_total") for process in cluster.of("prefill")]
        check(sum(sent) > 0, "pages crossed the network")
        chaos.conclude(options, {"seed": options.seed, "aborts": sum(leavers.stages.values()), "stages": leavers.stages,
                                 "compared": leavers.compared, "failed_or_different": len(leavers.errors), "transfer_frames": sum(sent),
                                 "transfer_frames_refused": sum(refused),
                                 "seconds": round(over - began, 1), "settled_after_s": round(settled, 2)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aborts", type=int, default=1000)
    chaos.add_common(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, options.model or chaos.tiny_model(folder, options.seed))


if __name__ == "__main__":
    main()
    sys.exit(0)

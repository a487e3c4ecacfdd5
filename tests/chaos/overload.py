"""Ten times more than the cluster can do: `overload.py [--model FILE] [--seconds 120] [--slo 1000] [--results FILE]`.

Finds the rate with the most answers within the objective (time to first token under --slo ms), then offers ten times that rate
for --seconds. What must hold: at least 90 % of the peak's goodput, the 99th percentile of admitted requests' first tokens within
1.5 times the objective, memory of every process flat (no more in the second half than 10 % above the first), nothing held after.
Prints ratios; fails when one does not hold. The requests are `troupe bench --workload chat` with Poisson arrivals."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import chaos
from cluster import Cluster, harness
from harness import check, eventually


def offer(port, rate, seconds, options, folder):
    """What `troupe bench` measured of this many requests a second."""
    out = pathlib.Path(folder, "bench.json")
    subprocess.run([harness.TROUPE, "bench", "--url", f"http://127.0.0.1:{port}/v1", "--workload", "chat", "--rate", str(rate),
                    "--requests", "0", "--duration", f"{seconds}s", "--max-streams", "8192", "--slo-ttft", str(options.slo),
                    "--seed", str(options.seed), "--ignore-eos", "--max-tokens", str(options.tokens), "--json", str(out)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=harness.clean_environment())
    return json.loads(out.read_text())


def figures(measured):
    """(answers within the objective a second, p99 of the first token in ms, answers, errors by kind)."""
    summary = measured["endpoints"][0]["summary"]
    return (summary["objective"]["goodput_per_second"], summary["time_to_first_token_ms"]["p99"], summary["answered"],
            summary["errors"])


def resident(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


class Memory:
    """Resident kilobytes of every process, once a second."""

    def __init__(self, cluster):
        self.cluster, self.samples, self.over = cluster, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.over.wait(1.0):
            self.samples.append({name: resident(process) for name, process in self.cluster.processes.items()})

    def growth(self):
        """By process: (largest kilobytes in the first half, in the second)."""
        self.over.set()
        self.thread.join()
        half = len(self.samples) // 2
        return {name: (max(s[name] for s in self.samples[:half]), max(s[name] for s in self.samples[half:]))
                for name in self.samples[0]}


def find_peak(port, options, folder):
    """(rate, goodput) with the most goodput: a third more each time until it falls."""
    best, rate = (0.0, 0.0), options.first_rate
    while True:
        goodput = figures(offer(port, rate, options.probe_seconds, options, folder))[0]
        print(f"{rate:.1f} requests a second: {goodput:.2f} within the objective", flush=True)
        if goodput > best[1]:
            best = (rate, goodput)
        elif goodput < 0.95 * best[1] or rate > 4 * best[0]:
            return best
        rate *= 1.33


def run(options, model, folder):
    settings = {**chaos.OPTIONS, "kv.bytes": options.kv_bytes, "router.first_token_slo": f"{options.slo}ms"}
    with Cluster(model, settings, decode=2, prefill=0) as cluster:
        port = cluster.http_ports[0]
        offer(port, options.first_rate, 5, options, folder)
        rate, peak = find_peak(port, options, folder)
        memory = Memory(cluster)
        goodput, p99, finished, errors = figures(offer(port, 10 * rate, options.seconds, options, folder))
        memory_kb, over = memory.growth(), time.monotonic()
        grown = max(second / first for first, second in memory_kb.values())
        eventually(lambda: chaos.all_zero(chaos.leftovers(cluster)), "nothing is held", 30)
        chaos.conclude(options, {"peak_rate": round(rate, 2), "goodput_of_peak": round(goodput / peak, 3),
                                 "p99_of_objective": round(p99 / options.slo, 3), "memory_growth": round(grown, 3), "memory_kb": memory_kb,
                                 "answers": finished, "errors": errors, "settled_after_s": round(time.monotonic() - over, 2)})
        check(goodput >= 0.9 * peak, f"goodput {goodput:.2f} is at least 90 % of the peak's {peak:.2f}")
        check(p99 <= 1.5 * options.slo, f"the 99th percentile {p99:.0f} ms is within 1.5 times the objective")
        check(grown <= 1.1, f"memory grew {grown:.2f} times")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--probe-seconds", type=int, default=20)
    parser.add_argument("--first-rate", type=float, default=2.0)
    parser.add_argument("--slo", type=int, default=1000, help="ms")
    chaos.add_common(parser)
    parser.set_defaults(tokens=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, options.model or harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf"), folder)


if __name__ == "__main__":
    main()
    sys.exit(0)

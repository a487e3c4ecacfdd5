"""Router policies on real workers, and the simulator's word for it: `placing.py --trace FILE [--policies a,b] [--results FILE]`.

Replays a Mooncake trace (a block of 512 tokens scaled to 16) against four decode workers, each one thread in a cgroup of 0.4
cores so that they do not disturb each other, once per policy, and prints for each the share of prompt tokens found cached, the
time to first token (p50, p90, p99) and the goodput within the objective. Every policy sees the same requests at the same times.

The model is a seeded one of six layers, so that thousands of requests, which is where the traces begin to share prefixes, take
minutes.

Workers fetch nothing from each other, which would make up for a worse choice.

What a step costs is fitted to the workers' counters of the same run, for a machine that others use too is not as fast
in the next one. With that `troupe simulate` replays the same requests; beside each policy's figures stand the ratios simulated /
measured."""
import argparse
import contextlib
import itertools
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import threading

import chaos
from cluster import Cluster, harness
from quota import Quota, home

SCALE = 16 / 512
WORDS = 4 / 512  # of a prompt: a block is about 16 tokens of the seeded model, whose tokens are bytes
POLICIES = "predicted_ttft,least_loaded,round_robin,random,consistent_hash,cache_aware,kv_overlap"


def solve(rows):
    """Gauss: of [A | b] the x with A x = b; None where there is no single one."""
    size = len(rows)
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-12:
            return None
        for r in range(size):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    return [rows[i][size] / rows[i][i] for i in range(size)]


def least_squares(samples):
    """Coefficients of the features, relative errors counting alike, and the error (root mean square): samples are (features,
    value). No coefficient is below zero: of all subsets of the features the one that fits best."""
    size = len(samples[0][0])
    scale = [max(x[i] / y for x, y in samples) or 1.0 for i in range(size)]
    points = [[v / y / s for v, s in zip(x, scale)] for x, y in samples]
    best = (math.inf, [])
    for chosen in (c for n in range(1, size + 1) for c in itertools.combinations(range(size), n)):
        found = solve([[sum(p[i] * p[j] for p in points) for j in chosen] + [sum(p[i] for p in points)] for i in chosen])
        if found and min(found) >= 0:
            error = sum((sum(k * p[i] for k, i in zip(found, chosen)) - 1) ** 2 for p in points)
            if error < best[0]:
                best = (error, [found[chosen.index(i)] / scale[i] if i in chosen else 0.0 for i in range(size)])
    return best[1], math.sqrt(best[0] / len(samples))


class Watch:
    """What workers' steps computed, interval by interval, in what time."""
    COUNTS = ("steps", "prompt_tokens", "step_stream_rows", "step_context_tokens", "busy_seconds")

    def __init__(self, workers, interval=2.0):
        self.workers, self.interval, self.samples, self.over = workers, interval, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        before = None
        while not self.over.wait(self.interval):
            now = [worker.metrics(*(f"troupe_worker_{name}_total" for name in self.COUNTS)) for worker in self.workers]
            for old, new in zip(before or [], now):
                *counts, seconds = (b - a for a, b in zip(old, new))
                if counts[0] > 0:
                    self.samples.append((counts, seconds * 1e6))
            before = now

    def step(self):
        """Microseconds of a step, a prompt token, a row of a stream and a token that a row attends to; and how well that fits."""
        (base, token, row, context), error = least_squares(self.samples)
        return ({"base": base, "prompt_token": token, "row": row, "kv_token": context, "pair": context},
                {"samples": len(self.samples), "relative_error": round(error, 4)})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def bench(cluster, options, folder, *more):
    """`troupe bench` against the first gateway: its summary."""
    out = pathlib.Path(folder, "bench.json")
    subprocess.run([harness.TROUPE, "bench", "--url", f"http://127.0.0.1:{cluster.http_ports[0]}/v1", "--ignore-eos", "--seed",
                    str(options.seed), "--warmup", "0", "--json", str(out), *more],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=harness.clean_environment())
    return json.loads(out.read_text())["endpoints"][0]["summary"]


def replay(cluster, options, folder, speed, requests):
    return bench(cluster, options, folder, "--workload", "trace", "--file", options.trace, "--scale", str(WORDS),
                 "--answer-scale", str(SCALE), "--speed", str(speed), "--requests", str(requests), "--max-streams", "4096", "--slo-ttft", str(options.slo))


def line_us(summary, workers):
    """Of the way to a worker and back beside everything else that runs: what first tokens took on average above their requests'
    time on the worker, by its own account."""
    names = [f"vllm:request_{part}_time_seconds_{what}" for part in ("queue", "prefill") for what in ("sum", "count")]
    queue, queued, prefill, computed = (sum(each) for each in zip(*(worker.metrics(*names) for worker in workers)))
    there = queue / max(1, queued) + prefill / max(1, computed)
    return max(100.0, summary["time_to_first_token_ms"]["mean"] * 1000 - there * 1e6)


@contextlib.contextmanager
def workers_of(policy, model, options):
    settings = {**chaos.OPTIONS, "kv.bytes": options.kv_bytes, "router.policy": policy, "disagg.min_fetch_tokens": 1 << 20}
    with contextlib.ExitStack() as stack:
        quotas = {f"decode-{i}": stack.enter_context(Quota(f"decode-{i}", options.cores)) for i in range(options.workers)}
        cluster = stack.enter_context(Cluster(model, settings, decode=options.workers, prefill=0))
        for name, quota in quotas.items():
            quota.take(cluster.processes[name].pid)
        yield cluster


def keep(options, policy, kind, text):
    """Every request's own figures, for a comparison request by request."""
    if options.records:
        folder = pathlib.Path(options.records)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{policy}.{kind}.json").write_text(text, encoding="utf-8")


def measure(policy, model, options, folder):
    """Figures of a policy, and what its steps cost."""
    with workers_of(policy, model, options) as cluster:
        with Watch(cluster.of("decode")) as watch:
            summary = replay(cluster, options, folder, options.speed, options.requests)
            keep(options, policy, "measured", pathlib.Path(folder, "bench.json").read_text())
        step, fit = watch.step()
        step["line"] = line_us(summary, cluster.of("decode"))
        pages = cluster.of("decode")[0].metric("troupe_worker_pages_pool")
    first = summary["time_to_first_token_ms"]
    return {"policy": policy, "hit_ratio": round(summary["cached_tokens"] / max(1, summary["prompt_tokens"]), 4),
            "ttft_p50_ms": round(first["p50"], 1), "ttft_p90_ms": round(first["p90"], 1), "ttft_p99_ms": round(first["p99"], 1),
            "goodput_per_s": round(summary["objective"]["goodput_per_second"], 3), "answered": summary["answered"],
            "errors": summary["errors"], "prompt_tokens": summary["prompt_tokens"], "pages": pages,
            "step_us": {name: round(us, 2) for name, us in step.items()}, "fit": fit}


def nominal_tokens(options, requests):
    """Prompt tokens of the requests as the trace has them."""
    with open(options.trace, encoding="utf-8") as file:
        return sum(max(1, round(json.loads(line)["input_length"] * SCALE)) for _, line in zip(range(requests), file))


def simulated(row, step, options, folder):
    """What the simulator says of a policy. Its prompts have the trace's lengths, the real ones those their text came to."""
    longer = row["prompt_tokens"] / nominal_tokens(options, options.requests)
    costs = ",".join(str(x) for x in (step["base"], step["prompt_token"] * longer, step["row"], step["kv_token"] * longer,
                                       step["pair"] * longer**2))
    outcomes = pathlib.Path(folder, "outcomes.jsonl")
    out = subprocess.run([harness.TROUPE, "simulate", "--outcomes", str(outcomes), "--trace", options.trace, "--scale", str(SCALE), "--requests",
                          str(options.requests), "--stretch", str(1 / options.speed), "--workers", str(options.workers), "--pages",
                          str(int(row["pages"] / longer)), "--chunk", "256", "--step", costs,
                          "--line", f"{round(step['line'])}us", "--policy", row["policy"], "--seed", str(options.seed), "--slo-first-token", f"{options.slo}ms", "--slo-between", "1h",
                          "--min-fetch-tokens", "1000000000", "--json", "-"],
                         check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=harness.clean_environment()).stdout
    keep(options, row["policy"], "simulated", outcomes.read_text())
    return json.loads(out)[0]


def compare(row, said):
    return {"hit_ratio": round(said["hit_ratio"] / max(1e-9, row["hit_ratio"]), 3),
            "ttft_p50": round(said["first_token_p50_s"] * 1000 / row["ttft_p50_ms"], 3),
            "ttft_p90": round(said["first_token_p90_s"] * 1000 / row["ttft_p90_ms"], 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", required=True)
    parser.add_argument("--policies", default=POLICIES)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--slo", type=int, default=2000, help="ms to the first token")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--records", metavar="DIR", help="where each request's figures go, measured and simulated")
    parser.add_argument("--cores", type=float, default=0.4, help="of each worker")
    chaos.add_common(parser)
    parser.set_defaults(kv_bytes="512MiB")
    options = parser.parse_args()
    if home() is None:
        print("skipped: no cgroup can be made here")
        sys.exit(harness.SKIP)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or chaos.tiny_model(folder, options.seed, "small-llama")
        rows = []
        for policy in options.policies.split(","):
            row = measure(policy, model, options, folder)
            said = simulated(row, row["step_us"], options, folder)
            rows.append({**row, "simulated_over_measured": compare(row, said)})
            if policy == "predicted_ttft":
                oracle = simulated({**row, "policy": "oracle"}, row["step_us"], options, folder)
                rows[-1]["goodput_over_oracle_simulated"] = round(said["goodput_per_s"] / max(1e-9, oracle["goodput_per_s"]), 4)
            print(json.dumps(rows[-1]), flush=True)
    chaos.conclude(options, {"trace": pathlib.Path(options.trace).stem, "speed": options.speed, "requests": options.requests,
                             "workers": options.workers, "cores": options.cores, "objective_ms": options.slo, "rows": rows})


if __name__ == "__main__":
    main()
    sys.exit(0)

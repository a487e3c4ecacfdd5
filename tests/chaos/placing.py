"""Router policies on real workers, and the simulator's word for it: `placing.py --trace FILE [--policies a,b] [--results FILE]`.

Replays a Mooncake trace (a block of 512 tokens scaled to 16) against four decode workers, each one thread in a cgroup of 0.4
cores so that they do not disturb each other, once per policy, and prints for each the share of prompt tokens found cached, the
time to first token (p50, p90, p99) and the goodput within the objective. Every policy sees the same requests at the same times.

Without --model the model is a seeded one of six layers, whose tokens are bytes, so that thousands of requests, which is where the
traces begin to share prefixes, take minutes; texts are cut so that a block is about 16 of its tokens.

Workers fetch nothing from each other, which would make up for a worse choice.

Before, the workers' steps are measured by probes that have nothing to do with the trace (fit_step). With them `troupe simulate`
replays the same requests; beside each policy's figures stand the ratios simulated / measured."""
import argparse
import contextlib
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import chaos
from cluster import Cluster, harness
from client import Stream
from quota import Quota, home

SCALE = 16 / 512
POLICIES = "predicted_ttft,least_loaded,round_robin,random,consistent_hash,cache_aware,kv_overlap"
WORDS = (10, 20, 40, 80, 160, 320)


class Probe(Stream):
    """A stream that notes when its tokens came."""

    def __init__(self, port, model, tokens, words, rng):
        prompt = " ".join(rng.choice(("river", "stone", "cloud", "tree", "lamp", "road", "glass", "bird")) for _ in range(words))
        super().__init__([port], {"model": model, "prompt": f"{rng.random()} {prompt}", "max_tokens": tokens, "ignore_eos": True, "temperature": 0})
        self.times, self.prompt_tokens = [], 0

    def take(self, event):
        super().take(event)
        if event["choices"]:
            self.times.append(time.monotonic())
        if event.get("usage"):
            self.prompt_tokens = event["usage"]["prompt_tokens"]

    def run(self):
        self.begun = time.monotonic()
        super().run()
        return self

    def first_us(self):
        return (self.times[0] - self.begun) * 1e6

    def between_us(self):
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1) * 1e6


def at_once(probes):
    threads = [threading.Thread(target=probe.run) for probe in probes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return probes


def least_squares(samples):
    """Coefficients of the features, relative errors counting alike: samples are (features, value)."""
    size = len(samples[0][0])
    rows = [[sum(x[i] * x[j] / y**2 for x, y in samples) for j in range(size)] + [sum(x[i] / y for x, y in samples)]
            for i in range(size)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(size):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    return [rows[i][size] / rows[i][i] for i in range(size)]


def fit_step(model, options):
    """Microseconds of a step, a prompt token, a decode row, a token of context and a pair of prompt tokens, with every worker busy
    alike; and tokens a word."""
    rng = random.Random(f"{options.seed} probes")
    with workers_of("round_robin", model, options) as cluster:
        port = cluster.http_ports[0]
        name = json.loads(cluster.get(0, "/v1/models")[1])["data"][0]["id"]
        def probes(count, tokens, words):
            return at_once([Probe(port, name, tokens, words, rng) for _ in range(count * options.workers)])
        probes(1, 4, 20)
        firsts = [(p.prompt_tokens, p.first_us()) for words in WORDS for _ in range(3) for p in probes(1, 1, words)]
        def between(count, words):
            done = [p for _ in range(2) for p in probes(count, 40, words)]
            return statistics.mean(p.between_us() for p in done), statistics.mean(p.prompt_tokens for p in done) + 20
        begin, token, pair = least_squares([((1, n, n * n / 2), us) for n, us in firsts])
        per_word = statistics.linear_regression([w for w in WORDS for _ in range(3 * options.workers)], [n for n, _ in firsts])[0]
        (one, context), (one_long, long_context), (eight, _) = between(1, 10), between(1, 400), between(8, 10)
    kv = max(0.0, (one_long - one) / (long_context - context))
    row = max(0.0, (eight - one) / 7 - kv * context)
    print("intercept", begin)
    step = {"base": one - row - kv * context, "prompt_token": token, "row": row, "kv_token": kv, "pair": pair}
    return {name: max(0.0, us) for name, us in step.items()}, max(1.0, per_word)


@contextlib.contextmanager
def workers_of(policy, model, options):
    settings = {**chaos.OPTIONS, "kv.bytes": options.kv_bytes, "router.policy": policy, "disagg.min_fetch_tokens": 1 << 20}
    with contextlib.ExitStack() as stack:
        quotas = {f"decode-{i}": stack.enter_context(Quota(f"decode-{i}", options.cores)) for i in range(options.workers)}
        cluster = stack.enter_context(Cluster(model, settings, decode=options.workers, prefill=0))
        for name, quota in quotas.items():
            quota.take(cluster.processes[name].pid)
        yield cluster


def replay(cluster, options, per_word, folder):
    out = pathlib.Path(folder, "bench.json")
    subprocess.run([harness.TROUPE, "bench", "--url", f"http://127.0.0.1:{cluster.http_ports[0]}/v1", "--workload", "trace",
                    "--file", options.trace, "--scale", str(SCALE / per_word), "--speed", str(options.speed), "--requests",
                    str(options.requests), "--max-streams", "4096", "--slo-ttft", str(options.slo), "--ignore-eos", "--seed",
                    str(options.seed), "--warmup", "0", "--json", str(out)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=harness.clean_environment())
    return json.loads(out.read_text())["endpoints"][0]["summary"]


def measure(policy, model, options, per_word, folder):
    with workers_of(policy, model, options) as cluster:
        summary = replay(cluster, options, per_word, folder)
        pages = cluster.of("decode")[0].metric("troupe_worker_pages_pool")
    first = summary["time_to_first_token_ms"]
    return {"policy": policy, "hit_ratio": round(summary["cached_tokens"] / max(1, summary["prompt_tokens"]), 4),
            "ttft_p50_ms": round(first["p50"], 1), "ttft_p90_ms": round(first["p90"], 1), "ttft_p99_ms": round(first["p99"], 1),
            "goodput_per_s": round(summary["objective"]["goodput_per_second"], 3), "answered": summary["answered"],
            "errors": summary["errors"], "prompt_tokens": summary["prompt_tokens"], "pages": pages}


def nominal_tokens(options):
    """Prompt tokens of the requests as the trace has them."""
    with open(options.trace, encoding="utf-8") as file:
        return sum(max(1, round(json.loads(line)["input_length"] * SCALE)) for _, line in zip(range(options.requests), file))


def simulated(row, step, options):
    """What the simulator says of a policy. Its prompts have the trace's lengths, the real ones those their text came to."""
    longer = row["prompt_tokens"] / nominal_tokens(options)
    costs = ",".join(str(x) for x in (step["base"], step["prompt_token"] * longer, step["row"], step["kv_token"] * longer,
                                       step["pair"] * longer**2))
    out = subprocess.run([harness.TROUPE, "simulate", "--trace", options.trace, "--scale", str(SCALE), "--requests",
                          str(options.requests), "--stretch", str(1 / options.speed), "--workers", str(options.workers), "--pages",
                          str(int(row["pages"] / longer)), "--step", costs, "--policy", row["policy"], "--seed", str(options.seed),
                          "--slo-first-token", f"{options.slo}ms", "--slo-between", "1h", "--json", "-"],
                         check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=harness.clean_environment()).stdout
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
    parser.add_argument("--cores", type=float, default=0.4, help="of each worker")
    chaos.add_common(parser)
    options = parser.parse_args()
    if home() is None:
        print("skipped: no cgroup can be made here")
        sys.exit(harness.SKIP)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or chaos.tiny_model(folder, options.seed, "small-llama")
        rows, (step, per_word) = [], fit_step(model, options)
        print(json.dumps({key: round(value, 1) for key, value in step.items()}), flush=True)
        for policy in options.policies.split(","):
            row = measure(policy, model, options, per_word, folder)
            rows.append({**row, "simulated_over_measured": compare(row, simulated(row, step, options))})
            print(json.dumps(rows[-1]), flush=True)
    chaos.conclude(options, {"trace": pathlib.Path(options.trace).stem, "speed": options.speed, "requests": options.requests,
                             "workers": options.workers, "cores": options.cores, "objective_ms": options.slo, "step_us": step,
                             "rows": rows})


if __name__ == "__main__":
    main()
    sys.exit(0)

"""One prefill and one decode worker against two hybrid ones: `disagg.py [--cores 0.5] [--load 0.7] [--results FILE]`.

The same mix on both: chats (short prompts, long answers) and, at --long-share of their rate, prompts of --prompt tokens with
short answers, both with Poisson arrivals. Every worker is one thread in a cgroup of --cores. First the hybrids' peak: the rate at
which they still keep up. Then --repeats runs of each arrangement in turn at --load of that peak. Prints the ratio of the chats'
99th percentile between tokens (hybrid / disaggregated: above 1 the split is better) and of the first tokens
(disaggregated / hybrid), and which of the two the figures speak for."""
import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import chaos
from cluster import Cluster, harness
from quota import Quota, home

STEP = 1.25  # between the rates that are tried
SPLIT, HYBRID = {"decode": 1, "prefill": 1}, {"decode": 2, "prefill": 0}


@contextlib.contextmanager
def cluster_of(shape, model, options):
    with contextlib.ExitStack() as stack:
        names = [f"{role}-{i}" for role, count in shape.items() for i in range(count)]
        quotas = {name: stack.enter_context(Quota(name, options.cores)) for name in names}
        cluster = stack.enter_context(Cluster(model, {**chaos.OPTIONS, "kv.bytes": options.kv_bytes, "router.policy": options.policy}, **shape))
        for name, quota in quotas.items():
            quota.take(cluster.processes[name].pid)
        yield cluster


def mixed(cluster, rate, options, folder):
    """Summaries of the chats and of the long prompts."""
    url = f"http://127.0.0.1:{cluster.http_ports[0]}/v1"
    common = ["--url", url, "--requests", "0", "--duration", f"{options.seconds}s", "--ignore-eos", "--seed", str(options.seed),
              "--max-streams", "2048", "--warmup", "0"]
    sides = {"chat": ["--workload", "chat", "--max-tokens", str(options.tokens), "--rate", str(rate)],
             "long": ["--workload", "long-prompt", "--prompt-tokens", str(options.prompt), "--max-tokens", "8",
                      "--rate", str(rate * options.long_share)]}
    running = {name: subprocess.Popen([harness.TROUPE, "bench", *common, *more, "--json", str(pathlib.Path(folder, name))],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=harness.clean_environment())
               for name, more in sides.items()}
    codes = {name: process.wait() for name, process in running.items()}
    harness.check(not any(codes.values()), f"troupe bench ended with {codes}")
    return {name: json.loads(pathlib.Path(folder, name).read_text())["endpoints"][0]["summary"] for name in sides}


def keeps_up(summaries, options):
    return summaries["chat"]["time_to_first_token_ms"]["p90"] <= options.patience and not summaries["chat"]["errors"]


def peak_of_hybrids(model, options, folder):
    with cluster_of(HYBRID, model, options) as cluster:
        rate, held_before = options.first_rate, None
        while True:
            held = keeps_up(mixed(cluster, rate, options, folder), options)
            print(f"hybrids at {rate:.2f} chats a second: {'keep up' if held else 'fall behind'}", flush=True)
            if held != held_before and held_before is not None:
                return rate if held else rate / STEP
            held_before = held
            rate *= STEP if held else 1 / STEP


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=float, default=0.5, help="of each worker")
    parser.add_argument("--load", type=float, default=0.7)
    parser.add_argument("--prompt", type=int, default=512, help="tokens of a usual vocabulary; of the seeded model's, bytes, four times as many")
    parser.add_argument("--rate", type=float, help="chats a second, in place of --load of the peak")
    parser.add_argument("--policy", default="predicted_ttft", help="the router's; load_and_prefix splits every prompt it can")
    parser.add_argument("--long-share", type=float, default=0.2, help="long prompts per chat")
    parser.add_argument("--first-rate", type=float, default=5)
    parser.add_argument("--patience", type=float, default=500, help="ms to the chats' first token (p90) that keeps up")
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    chaos.add_common(parser)
    parser.set_defaults(tokens=64, kv_bytes="1GiB")
    options = parser.parse_args()
    if home() is None:
        print("skipped: no cgroup can be made here")
        sys.exit(harness.SKIP)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or chaos.tiny_model(folder, options.seed, "small-llama")
        rate = options.rate or options.load * peak_of_hybrids(model, options, folder)
        measured, placed = {"hybrid": [], "split": []}, {"with_prefill_worker": 0, "all": 0}
        for _ in range(options.repeats):
            for name, shape in (("hybrid", HYBRID), ("split", SPLIT)):
                with cluster_of(shape, model, options) as cluster:
                    measured[name].append(mixed(cluster, rate, options, folder))
                    if name == "split":
                        router = cluster.of("router")[0]
                        placed["with_prefill_worker"] += router.metric("troupe_router_disaggregated_placements_total")
                        placed["all"] += router.metric("troupe_router_placements_total")
    def median(name, side, what, quantile):
        return statistics.median(m[side][what][quantile] for m in measured[name])
    gap = {name: median(name, "chat", "between_tokens_ms", "p99") for name in measured}
    first = {name: median(name, "chat", "time_to_first_token_ms", "p50") for name in measured}
    whole = {name: median(name, "long", "time_to_first_token_ms", "p50") for name in measured}
    gain, cost = gap["hybrid"] / gap["split"], max(first["split"] / first["hybrid"], whole["split"] / whole["hybrid"])
    chaos.conclude(options, {"chats_per_s": round(rate, 3), "long_prompts_per_s": round(rate * options.long_share, 3),
                             "itl_p99_ms": {name: round(ms, 1) for name, ms in gap.items()},
                             "ttft_chat_p50_ms": {name: round(ms, 1) for name, ms in first.items()},
                             "ttft_long_p50_ms": {name: round(ms, 1) for name, ms in whole.items()},
                             "split_placements": placed, "itl_p99_hybrid_over_split": round(gain, 2),
                             "ttft_chat_split_over_hybrid": round(first["split"] / first["hybrid"], 2),
                             "ttft_long_split_over_hybrid": round(whole["split"] / whole["hybrid"], 2),
                             "better": "split" if gain > cost else "hybrid"})


if __name__ == "__main__":
    main()
    sys.exit(0)

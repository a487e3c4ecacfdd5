"""Router policies on real workers: `placing.py --trace FILE [--policies a,b] [--requests 400] [--speed 1.0] [--results FILE]`.

Replays a Mooncake trace (a block of 512 tokens scaled to 16) against four decode workers, each one thread in a cgroup of 0.4
cores so that they do not disturb each other, once per policy, and prints for each the share of prompt tokens found cached, the
time to first token (p50, p99) and the goodput within the objective. Every policy sees the same requests at the same times."""
import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

import chaos
from cluster import Cluster, harness
from quota import Quota, home

SCALE = 16 / 512


def replay(cluster, options, folder):
    out = pathlib.Path(folder, "bench.json")
    subprocess.run([harness.TROUPE, "bench", "--url", f"http://127.0.0.1:{cluster.http_ports[0]}/v1", "--workload", "trace",
                    "--file", options.trace, "--scale", str(SCALE), "--speed", str(options.speed), "--requests",
                    str(options.requests), "--max-streams", "4096", "--slo-ttft", str(options.slo), "--ignore-eos", "--seed",
                    str(options.seed), "--warmup", "0", "--json", str(out)],
                   check=True, stdout=subprocess.DEVNULL, env=harness.clean_environment())
    return json.loads(out.read_text())["endpoints"][0]["summary"]


def measure(policy, model, options, folder):
    settings = {**chaos.OPTIONS, "kv.bytes": options.kv_bytes, "router.policy": policy}
    with contextlib.ExitStack() as stack:
        quotas = {f"decode-{i}": stack.enter_context(Quota(f"decode-{i}", options.cores)) for i in range(options.workers)}
        cluster = stack.enter_context(Cluster(model, settings, decode=options.workers, prefill=0))
        for name, quota in quotas.items():
            quota.take(cluster.processes[name].pid)
        summary = replay(cluster, options, folder)
    first = summary["time_to_first_token_ms"]
    return {"policy": policy, "hit_ratio": round(summary["cached_tokens"] / max(1, summary["prompt_tokens"]), 4),
            "ttft_p50_ms": round(first["p50"], 1), "ttft_p90_ms": round(first["p90"], 1), "ttft_p99_ms": round(first["p99"], 1),
            "goodput_per_s": round(summary["objective"]["goodput_per_second"], 3), "answered": summary["answered"],
            "errors": summary["errors"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", required=True)
    parser.add_argument("--policies", default="predicted_ttft,least_loaded,round_robin,kv_overlap,cache_aware")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--slo", type=int, default=2000, help="ms to the first token")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--cores", type=float, default=0.4, help="of each worker")
    chaos.add_common(parser)
    options = parser.parse_args()
    if home() is None:
        print("skipped: no cgroup can be made here")
        sys.exit(harness.SKIP)
    model = options.model or harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for policy in options.policies.split(","):
            rows.append(measure(policy, model, options, folder))
            print(json.dumps(rows[-1]), flush=True)
    chaos.conclude(options, {"trace": pathlib.Path(options.trace).stem, "speed": options.speed, "requests": options.requests,
                             "workers": options.workers, "cores": options.cores, "objective_ms": options.slo, "rows": rows})


if __name__ == "__main__":
    main()
    sys.exit(0)

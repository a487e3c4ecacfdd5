"""The same 200 requests, mixed in length and sampling, through every schedule there is: one process and four, chunks of 16, 64
and 512, one thread and two, every instruction set of this machine, alone and batched. All streams are byte-equal."""
import concurrent.futures
import hashlib
import json
import random
import subprocess
import sys
import tempfile

import harness
from harness import check

REQUESTS = 200


def make_requests(model):
    """Deterministic: prompts of 1 to 400 ids that often share a prefix, greedy and sampled with every filter."""
    rng = random.Random(7)
    shared = [rng.randrange(3, 255) for _ in range(300)]
    bodies = []
    for i in range(REQUESTS):
        length = rng.choice([1, 2, 15, 16, 17, 40, 63, 64, 65, 120, 200, 400])
        prompt = shared[: min(length, 300)] if i % 3 == 0 else []
        prompt = (prompt + [rng.randrange(3, 255) for _ in range(length)])[:length]
        body = {"model": model, "prompt": prompt, "max_tokens": rng.randrange(1, 24), "seed": i, "logprobs": i % 3}
        style = i % 5
        if style == 0:
            body["temperature"] = 0
        elif style == 1:
            body |= {"temperature": 1.0, "top_p": 0.9}
        elif style == 2:
            body |= {"temperature": 0.7, "top_k": 20, "repetition_penalty": 1.1}
        elif style == 3:
            body |= {"temperature": 1.3, "min_p": 0.05, "frequency_penalty": 0.5}
        else:
            body |= {"temperature": 0.9, "typical_p": 0.9, "presence_penalty": 0.3, "n": 2}
        bodies.append(body)
    return bodies


def run_all(server, concurrency):
    model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
    bodies = make_requests(model)

    def one(body):
        status, answer = server.post("/v1/completions", body)
        check(status == 200, f"{status}: {answer}")
        return json.dumps([[c["index"], c["text"], c["finish_reason"], c.get("logprobs")] for c in answer["choices"]])

    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        return list(pool.map(one, bodies))


def first_difference(a, b):
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return f"request {i}:\n  {x[:400]}\n  {y[:400]}"
    return "none"


def main():
    work = tempfile.mkdtemp()
    model = f"{work}/tiny.gguf"
    maker = harness.TROUPE.parent / "make_shaped_model"
    subprocess.run([maker, "--shape", "tiny-llama", "--type", "q4_1", "--seed", "11", "--out", model], check=True)
    version = subprocess.run([str(harness.TROUPE), "version"], capture_output=True, text=True, env=harness.clean_environment()).stdout
    isas = next(line for line in version.splitlines() if line.startswith("instruction sets:")).split()[2:]
    schedules = [("alone", 1, lambda: harness.serve("--kv-bytes", "64MiB", "--no-kv-prefix-cache", model=model)),
                 ("batched", 32, lambda: harness.serve("--kv-bytes", "64MiB", model=model))]
    for chunk in (16, 64, 512):
        schedules.append((f"chunk {chunk}", 16, lambda c=chunk: harness.serve("--kv-bytes", "64MiB", "--engine-chunk", str(c), model=model)))
    for threads in (1, 2):
        schedules.append((f"{threads} threads", 16,
                          lambda t=threads: harness.serve("--kv-bytes", "64MiB", "--engine-threads", str(t), model=model)))
    for isa in isas:
        schedules.append((isa, 16, lambda s=isa: harness.serve("--kv-bytes", "64MiB", "--engine-isa", s, model=model)))
    schedules.append(("four processes", 32, lambda: harness.cluster("--kv-bytes", "64MiB", "--disagg-min-prompt-tokens", "32", model=model)))
    schedules.append(("few pages", 32, lambda: harness.serve("--kv-bytes", "2MiB", model=model)))
    expected = None
    for name, concurrency, start in schedules:
        with start() as server:
            streams = run_all(server, concurrency)
        digest = hashlib.sha256("\n".join(streams).encode()).hexdigest()
        print(f"{name:>16}: {digest[:32]}", flush=True)
        if expected is None:
            expected = streams
        check(streams == expected, f"'{name}' differs from 'alone' at {first_difference(expected, streams)}")
    committed = harness.ROOT / "tests/golden/http_stream_digest.txt"
    digest = hashlib.sha256("\n".join(expected).encode()).hexdigest()
    if "--update" in sys.argv:
        committed.write_text(digest + "\n")
    check(committed.read_text().strip() == digest, f"this machine computes {digest}, committed is {committed.read_text().strip()}")


main()

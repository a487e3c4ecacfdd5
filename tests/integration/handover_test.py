"""Real processes: SIGTERM on a decode worker moves its running streams to another one by their KV pages, while their clients
read on; and a prompt that one worker has cached is fetched by another instead of computed. Every stream equals that of
`serve`."""
import json
import os
import signal
import threading
import time

import harness
from harness import check, eventually, metric, pid_of, stream

LONG = "The quick brown fox jumps over the lazy dog and runs away. " * 80


def story(model, number, tokens, prompt=LONG):
    return {"model": model, "prompt": f"Story {number}. {prompt}", "max_tokens": tokens, "seed": number,
            "temperature": 0.0 if number % 2 == 0 else 0.8}


def move_running_streams(server, model, bodies, expected):
    ports, decoders = server.metrics, ["decode-0", "decode-1"]
    results, under_way = {}, [threading.Event() for _ in bodies]

    def read(number):
        results[number] = stream(server, bodies[number],
                                 lambda count: under_way[number].set() if count >= 20 else None)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for event in under_way:
        check(event.wait(120), "every stream is under way")
    busy = [name for name in decoders if metric(ports[name], "troupe_worker_streams_running") > 0]
    old = busy[0]
    new = next(name for name in decoders if name != old)
    here = metric(ports[old], "troupe_worker_streams_running")
    before = metric(ports[new], "troupe_worker_prompt_tokens_total")
    os.kill(pid_of(server, "decode", ports[old]), signal.SIGTERM)
    for thread in threads:
        thread.join(300)
    check([results.get(number) for number in range(len(bodies))] == expected, "every stream is byte-equal")
    moved = metric(server.port, "troupe_gateway_handovers_total")
    check(moved >= 1, f"streams moved while they went on: {moved} of {here}")
    check(metric(server.port, "troupe_gateway_replays_total") == 0, "none was replayed")
    fetched = metric(ports[new], "troupe_worker_fetched_tokens_total")
    computed = metric(ports[new], "troupe_worker_prompt_tokens_total") - before
    check(fetched > moved * 800, f"their pages were fetched: {fetched} tokens")
    check(computed < moved * 64, f"and not computed again: {computed} tokens for {moved} streams")
    check(metric(ports[new], "troupe_worker_fetch_fallbacks_total") == 0, "no fallback")
    check(metric(ports[new], "troupe_worker_transfer_frames_shared_total") > 0, "pages stayed in shared memory")
    eventually(lambda: metric(ports[new], "troupe_worker_transfer_shared_segments") == 0, "which went with its process")
    print(f"moved {moved:.0f} of {here:.0f} streams: {fetched:.0f} tokens fetched, {computed:.0f} computed")
    return old


def fetch_a_cached_prompt(server, model, expected):
    """The least loaded worker takes the second request. The one with the prompt in its cache is busy, if the router had heard that
    it was idle again."""
    ports, decoders = server.metrics, ["decode-0", "decode-1"]

    def total(name):
        return sum(metric(ports[decoder], name) for decoder in decoders)

    for number, answer in expected.items():
        check(stream(server, story(model, number, 16)) == answer, "the first answer")
        time.sleep(1.5)  # two heartbeats; another round if they were late
        blocks = metric(ports["router"], "troupe_router_index_blocks")
        before, started = total("troupe_worker_prompt_tokens_total"), threading.Event()
        busy = threading.Thread(
            target=lambda: stream(server, story(model, 7, 200, "Once upon a time"), lambda count: started.set()))
        busy.start()
        check(started.wait(60), "one worker has something to do")
        check(stream(server, story(model, number, 16)) == answer, "the second answer")
        busy.join(120)
        check(blocks > 0, "the router knows of the pages")
        if total("troupe_worker_exports_total") != 0:
            break
    fetched, computed = total("troupe_worker_fetched_tokens_total"), total("troupe_worker_prompt_tokens_total") - before
    check(fetched > 800, f"the prompt's pages were fetched: {fetched} tokens")
    check(computed < 64, f"and not computed again: {computed} tokens")
    print(f"a peer's pages: {fetched:.0f} tokens fetched, {computed:.0f} computed")


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    small = ["--kv-bytes", "1GiB", "--engine-threads", "1"]
    with harness.serve(*small, model=model_file) as server:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        bodies = [story(model, number, 400) for number in range(4)]
        expected = [stream(server, body) for body in bodies]
        expected_short = {number: stream(server, story(model, number, 16)) for number in range(100, 103)}

    # The least loaded worker takes a request, so that prompts are not where they are cached.
    with harness.cluster(*small, "--router-policy", "least_loaded", model=model_file, prefill=0, decode=2) as server:
        eventually(lambda: metric(server.metrics["router"], "troupe_router_ready_nodes") == 3, "two decoders, a gateway")
        fetch_a_cached_prompt(server, model, expected_short)

    with harness.cluster(*small, "--router-policy", "least_loaded", model=model_file, prefill=0, decode=2) as server:
        eventually(lambda: metric(server.metrics["router"], "troupe_router_ready_nodes") == 3, "two decoders, a gateway")
        move_running_streams(server, model, bodies, expected)


main()

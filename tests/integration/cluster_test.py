"""Real processes, one per role: every stream equals that of `serve`, KV pages cross the data plane, a decode worker that is
killed mid-stream is not seen in the stream, a prefill worker's death costs nothing but time, and SIGTERM drains."""
import json
import os
import signal
import threading

import harness
from harness import check, eventually, metric, pid_of, stream

LONG = "The quick brown fox jumps over the lazy dog and runs away. " * 40


def bodies(model):
    return [{"model": model, "prompt": f"Story {i}. " + (LONG if i % 2 == 0 else "Once upon a time"), "max_tokens": 32,
             "seed": i, "temperature": 0.0 if i % 3 == 0 else 0.8, "n": 2 if i == 3 else 1} for i in range(8)]


def answers(server, model):
    found = []
    for body in bodies(model):
        status, reply = server.post("/v1/completions", body)
        check(status == 200, f"{status}: {reply}")
        found.append([choice["text"] for choice in sorted(reply["choices"], key=lambda c: c["index"])])
    return found


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    small = ["--kv-bytes", "512MiB", "--engine-threads", "1"]
    with harness.serve(*small, model=model_file) as server:
        model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
        story = {"model": model, "prompt": "Once upon a time", "max_tokens": 500, "seed": 5, "temperature": 0.8}
        expected, expected_story = answers(server, model), stream(server, story)
        check(server.stop() == 0, "serve drains and ends with 0")

    # This policy names the prefill worker for every long prompt: transfers are what is looked at here.
    transfers = ["--router-policy", "load_and_prefix", "--disagg-min-prompt-tokens", "128"]
    with harness.cluster(*small, *transfers, model=model_file, decode=2) as server:
        ports = server.metrics
        decoders = ["decode-0", "decode-1"]
        eventually(lambda: metric(ports["router"], "troupe_router_ready_nodes") == 4, "two decoders, a prefiller, a gateway")
        check(answers(server, model) == expected, "four processes answer as one does")
        received = sum(metric(ports[name], "troupe_worker_transfer_received_bytes_total") for name in decoders)
        check(received > 10e6, f"KV pages crossed the data plane: {received} bytes")
        check(sum(metric(ports[name], "troupe_worker_transfer_frames_shared_total") for name in decoders) > 0,
              "in memory that both processes map")
        eventually(lambda: sum(metric(ports[n], "troupe_worker_imports_total") for n in decoders) >= 3, "imports")
        check(sum(metric(ports[n], "troupe_worker_prefill_fallbacks_total") for n in decoders) == 0, "no fallback")

        killed = []

        def kill_the_decoder(count):
            if killed or count < 20:
                return
            for name in decoders:
                if metric(ports[name], "troupe_worker_streams_running") > 0:
                    os.kill(pid_of(server, "decode", ports[name]), signal.SIGKILL)
                    killed.append(name)

        check(stream(server, story, kill_the_decoder) == expected_story, "the stream goes on byte-equal")
        check(len(killed) == 1, "a decode worker was killed in the middle of its stream")

        os.kill(pid_of(server, "prefill", ports["prefill-0"]), signal.SIGKILL)
        check(answers(server, model) == expected, "answers are the same without the prefill worker")

        # A drain of everything: the running stream ends by itself, and everything is gone afterwards.
        result, started = [], threading.Event()
        long_story = threading.Thread(target=lambda: result.append(stream(server, story, lambda count: started.set())))
        long_story.start()
        check(started.wait(60), "the stream starts")
        check(server.stop() == 0, "the cluster drains and ends with 0")
        long_story.join(60)
        check(result == [expected_story], "the drain let the stream end")


main()

"""A worker that is killed leaves its KV pages on disk: started again, it answers the same prompt from there, and every
answer is what it was. Two workers share one path and no file; a disk that cannot be used, or is full, costs no request.

--measure prints the time to the first token of long prompts: computed, from disk after a restart, from memory."""
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time

import harness
from harness import check, eventually, metric
from small_disk import small_disk

PROMPT = "The quick brown fox jumps over the lazy dog and runs away. " * 20


def ask(server, model, prompt=PROMPT):
    """Text, and how many prompt tokens were not computed."""
    body = {"model": model, "prompt": prompt, "max_tokens": 24, "seed": 3, "temperature": 0.7}
    status, reply = server.post("/v1/completions", body)
    check(status == 200, f"{status}: {reply}")
    return reply["choices"][0]["text"], reply["usage"]["prompt_tokens_details"]["cached_tokens"]


def model_of(server):
    return json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]


def worker_pid(server, port):
    for pid in server.descendants():
        with open(f"/proc/{pid}/cmdline") as file:
            words = file.read().split("\0")
        if "decode" in words[:3] and any(str(port) in word for word in words):
            return pid
    raise AssertionError("no decode worker")


def killed_and_started_again(model_file, small, folder):
    """The supervisor starts the worker again; its pages are there."""
    disk = ["--kv-disk-path", folder, "--kv-disk-capacity", "1GiB"]
    with harness.cluster(*small, *disk, model=model_file) as server:
        port, router = server.metrics["decode-0"], server.metrics["router"]
        model = model_of(server)
        expected, cached = ask(server, model)
        check(cached == 0, f"nothing is cached before: {cached}")
        eventually(lambda: metric(port, "troupe_kv_disk_pages") >= 3, "the released pages are written")
        pages = metric(port, "troupe_kv_disk_pages")
        old = worker_pid(server, port)
        os.kill(old, signal.SIGKILL)

        def is_back():
            try:
                return worker_pid(server, port) != old and metric(port, "troupe_worker_joined_routers") == 1
            except (OSError, AssertionError):
                return False

        eventually(is_back, "the supervisor starts the worker again", 60)
        check(metric(port, "troupe_kv_disk_pages") == pages, "it finds every page")
        eventually(lambda: metric(router, "troupe_router_ready_nodes") == 3, "the cluster is whole")
        again, cached = ask(server, model)
        check(again == expected, f"the same answer: {again!r} {expected!r}")
        check(cached >= 192, f"from disk: {cached} cached tokens")
        check(metric(port, "troupe_kv_disk_hits_total") >= 3, "pages were read")
        check(metric(port, "troupe_kv_disk_errors_total") == 0, "without an error")
        check(server.stop() == 0, "it drains")
        return expected


def without_a_disk(model_file, small, expected):
    """A path that cannot be made: the worker says so and serves."""
    with tempfile.NamedTemporaryFile() as file:
        with harness.serve(*small, "--kv-disk-path", file.name + "/below", model=model_file) as server:
            check(ask(server, model_of(server))[0] == expected, "the same answer without a disk")
            check("no KV pages are kept on disk" in server.log_text(), "the log says it")
            check(metric(server.port, "troupe_kv_disk_paused_tiers") == 1, "and so does the metric")
            check(server.stop() == 0, "it drains")


def on_a_full_disk(model_file, small, expected):
    """Writes that fail cost no request, are said once, and go on when there is room; nothing torn is served afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        disk = small_disk(folder, 16)
        if disk is None:
            print("no small file system can be mounted here: the full disk is left out")
            return
        try:
            arguments = [*small, "--kv-disk-path", folder, "--kv-disk-capacity", "8MiB", "--kv-disk-retry", "500ms"]
            with harness.serve(*arguments, model=model_file) as server:
                model = model_of(server)
                disk.fill()
                check(ask(server, model)[0] == expected, "the same answer while the disk is full")
                eventually(lambda: metric(server.port, "troupe_kv_disk_paused_tiers") == 1, "a failed write pauses the writing")
                for i in range(3):
                    ask(server, model, f"Another prompt {i}. " + PROMPT)
                    time.sleep(0.6)  # beyond the pause: it is tried again, and fails again
                check(server.log_text().count("KV pages cannot be written to disk") == 1, "the log says it once")
                disk.free()

                def written():
                    ask(server, model, f"Room again at {time.monotonic()}. " + PROMPT)
                    return metric(server.port, "troupe_kv_disk_paused_tiers") == 0

                eventually(written, "pages are written again")
                check(server.log_text().count("KV pages are written to disk again") == 1, "which the log says, too")
                check(server.stop() == 0, "it drains")
            with harness.serve(*arguments, model=model_file) as server:
                check(ask(server, model_of(server))[0] == expected, "the same answer over what was written")
                check(metric(server.port, "troupe_kv_disk_errors_total") == 0, "and nothing torn among it")
                check(server.stop() == 0, "it drains")
        finally:
            disk.stop()


def forget_files(folder):
    """What the operating system keeps of them in memory goes: reads come from the device."""
    for path in pathlib.Path(folder).rglob("*.seg"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(model_file):
    prompts = [f"Document {i}. " + PROMPT * 15 for i in range(3)]

    def times(server):
        model, found = model_of(server), []
        for prompt in prompts:
            started = time.monotonic()
            body = {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0}
            usage = server.post("/v1/completions", body)[1]["usage"]
            found.append((time.monotonic() - started, usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]))
        return found

    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--kv-bytes", "512MiB", "--kv-disk-path", folder]
        with harness.serve(*arguments, model=model_file) as server:
            rows = {"computed": times(server)}
            pages = sum(tokens // 64 for _, tokens, _ in rows["computed"])
            eventually(lambda: metric(server.port, "troupe_kv_disk_pages") >= pages - len(prompts), "everything is written")
        with harness.serve(*arguments, model=model_file) as server:
            rows["from files in memory"] = times(server)
            rows["from pages in memory"] = times(server)
        forget_files(folder)
        with harness.serve(*arguments, model=model_file) as server:
            rows["from the device"] = times(server)
    base = statistics.median(seconds for seconds, _, _ in rows["computed"])
    for name, row in rows.items():
        seconds = statistics.median(seconds for seconds, _, _ in row)
        print(f"{name:20} {seconds:8.3f} s to the first token, {base / seconds:6.1f} x; {row[-1][1]} tokens, {row[-1][2]} cached")


def main():
    model_file = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    if "--measure" in sys.argv[1:]:
        return measure(model_file)
    small = ["--kv-bytes", "256MiB", "--engine-threads", "1"]
    with tempfile.TemporaryDirectory() as folder:
        # Prefill and decode worker are given one path: each locks a folder of its own.
        expected = killed_and_started_again(model_file, small + ["--disagg-min-prompt-tokens", "100000"], folder)
        # Another process over the same files is warm from its first request on.
        with harness.serve(*small, "--kv-disk-path", folder, model=model_file) as server:
            text, cached = ask(server, model_of(server))
            check(text == expected and cached >= 192, f"{cached} cached tokens")
            check(server.stop() == 0, "it drains")
    without_a_disk(model_file, small, expected)
    on_a_full_disk(model_file, small, expected)


main()

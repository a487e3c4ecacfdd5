"""What serve runs: our server, our cluster and the peer's server on free ports, our load driver on them, and the reading of
what a server process holds in memory. Processes are stopped by pid when their `with` block ends, however it ends."""

import json
import os
import socket
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import harness  # noqa: E402
import quiet  # noqa: E402

SLOTS, SLOT_TOKENS = 16, 1536  # of the peer: a shared-prefix conversation takes about 1,200 tokens
POLL_S = 0.002
START_LIMIT_S = 120


class Sides:
    """The programs, the model and the threads that both sides get."""

    def __init__(self, troupe, peer, model, threads, peer_flags):
        self.troupe, self.peer, self.model, self.threads = troupe, peer, model, threads
        self.peer_flags = peer_flags
        harness.TROUPE = troupe

    def own_command(self, port, *more):
        return ["serve", "--model", f"smollm2={self.model}", "--http-port", str(port), "--engine-threads", str(self.threads),
                *more]

    def peer_command(self, port, slots=SLOTS, slot_tokens=SLOT_TOKENS, *more):
        """A context of its own for each slot: a unified one is emptied of idle slots, which would lose their prefixes. No
        copies of prompts in host memory (-cram 0), which the slots' own prefixes make needless work."""
        return ["-m", self.model, "--alias", "smollm2", "--host", "127.0.0.1", "--port", str(port), "-t", str(self.threads),
                "-np", str(slots), "-c", str(slots * slot_tokens), "-cram", "0", "--no-ui", *self.peer_flags, *more]

    def serve(self, *more):
        port = harness.free_port()
        return harness.Server(self.own_command(port, *more), port)

    def peer_serve(self):
        port = harness.free_port()
        return harness.Server(self.peer_command(port), port, program=self.peer, ready="/health")

    def cluster(self):
        return harness.cluster("--engine-threads", str(self.threads), model=f"smollm2={self.model}")


def url(server):
    return f"http://127.0.0.1:{server.port}/v1"


def drive(sides, server, other, *arguments, servers=()):
    """(what `troupe bench` writes as JSON, the neighbours' share)."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.json")
        command = [sides.troupe, "bench", "--url", url(server), *(["--vs", url(other)] if other else []), "--ignore-eos",
                   "--json", path, *map(str, arguments)]
        _, share = quiet.run(command, limit=3600, servers=servers)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    for side in report["endpoints"]:
        if side["summary"]["errors"]:
            sys.exit(f"error: requests failed: {side['summary']['errors']}")
    return report, share


def engine_alone(sides, streams, context, steps):
    """(the report of `troupe bench engine`, one repeat, the neighbours' share)."""
    text, share = quiet.run([sides.troupe, "bench", "engine", "--model", sides.model, "--threads", str(sides.threads),
                             "--prefill", "16", "--context", str(context), "--steps", str(steps), "--streams",
                             ",".join(map(str, streams)), "--repeats", "1", "--noisy", "--json"])
    return json.loads(text), share


def memory(pid):
    """Peak resident bytes of a process, and what of its present ones belongs to files."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmHWM", "RssAnon", "RssFile")}


def _answer(port, until):
    """Reads a one-token answer's stream to its first text. False when the server does not take the request yet."""
    body = json.dumps({"model": "smollm2", "stream": True, "max_tokens": 1, "temperature": 0,
                       "messages": [{"role": "user", "content": "Name a colour."}]}).encode()
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
    with socket.socket() as connection:
        connection.settimeout(max(0.1, until - time.monotonic()))
        try:
            connection.connect(("127.0.0.1", port))
            connection.sendall(head + body)
            with connection.makefile("rb") as stream:
                if b" 200 " not in stream.readline():
                    return False
                for line in stream:
                    if line.startswith(b"data: {"):
                        choices = json.loads(line[6:]).get("choices") or [{}]
                        if choices[0].get("delta", {}).get("content"):
                            return True
        except (ConnectionError, socket.timeout):
            return False
    sys.exit("error: an answer ended without a token")


def time_to_first_token(program, command, port):
    """(seconds from exec to the first token, neighbours' share over the process's whole life)."""
    watch = quiet.Watch()
    with tempfile.TemporaryFile() as log:
        begin = time.monotonic()
        process = harness.subprocess.Popen([program, *command], stdout=log, stderr=log, env=harness.clean_environment())
        try:
            until = begin + START_LIMIT_S
            while not _answer(port, until):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    sys.exit(f"error: {program} did not start: {log.read()[-2000:].decode(errors='replace')}")
                time.sleep(POLL_S)
            took = time.monotonic() - begin
        finally:
            process.terminate()
            try:
                process.wait(30)
            except harness.subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return took, watch.share()

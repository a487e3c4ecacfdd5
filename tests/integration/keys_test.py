"""A cluster with keys: it answers as one without, members restarted in the middle of a rotation are understood, and a process without
the keys, with others, or one that speaks something else gets nothing on any port, is counted, and is logged once."""
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

import harness
from harness import check, eventually, metric, pid_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402

SMALL = ["--engine-threads", "1", "--kv-bytes", "32MiB", "--disagg-min-prompt-tokens", "64", "--router-policy", "load_and_prefix"]
WORKERS = ["prefill-0", "decode-0", "decode-1"]


def keys(verb, folder):
    subprocess.run([harness.TROUPE, "keys", verb, folder], check=True, stdout=subprocess.DEVNULL)


def answers(server, model, first=0):
    """Long prompts that share nothing, so that each crosses the data plane."""
    found = []
    for i in range(first, first + 4):
        body = {"model": model, "prompt": f"{i} " + "once upon a time " * 12, "max_tokens": 8, "seed": i, "ignore_eos": True}
        status, reply = server.post("/v1/completions", body)
        check(status == 200, f"{status}: {reply}")
        found.append(reply["choices"][0]["text"])
    return found


def listening(pid):
    """TCP ports of a process."""
    inodes = {m[1] for name in os.listdir(f"/proc/{pid}/fd") if (m := re.match(r"socket:\[(\d+)\]", link(f"/proc/{pid}/fd/{name}")))}
    rows = [line.split() for file in ("tcp", "tcp6") for line in open(f"/proc/{pid}/net/{file}").readlines()[1:]]
    return sorted({int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes})


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def knock(port, data):
    """What a port says to this, in a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
        heard = b""
        try:
            s.sendall(data)
            while len(heard) < 1 << 16 and (piece := s.recv(4096)):
                heard += piece
        except OSError:
            pass
        return heard


ZMTP_NULL = bytes([0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 0]) + b"NULL".ljust(20, b"\0") + bytes(32)


def look_at_ports(server, folder):
    """Every port but those of HTTP takes no plain request and no plain peer, and says nothing that is in the folder."""
    secrets = [line for path in folder.iterdir() for line in path.read_bytes().splitlines() if len(line) >= 40]
    http = {server.port, *server.metrics.values()}
    closed = 0
    for pid in server.descendants():
        for port in set(listening(pid)) - http:
            for data in (b"GET / HTTP/1.1\r\n\r\n", ZMTP_NULL, os.urandom(512)):
                heard = knock(port, data)
                check(b"HTTP/1.1 200" not in heard and b"READY" not in heard, f"port {port} answers {heard[:100]}")
                check(not any(secret in heard for secret in secrets), f"port {port} shows a key")
            closed += 1
    check(closed >= 8, f"control and data ports of five processes were found: {closed}")


def stranger(server, model_file, *arguments):
    """A decode worker that would join; returns its exit code after it was told to stop, and what it said."""
    words = open(f"/proc/{pid_of(server, 'decode', server.metrics['decode-0'])}/cmdline").read().split("\0")
    router = next(word for word in words if word.startswith("--cluster-router="))
    port = harness.free_port()
    try:
        with harness.Server(["decode", "--model", model_file, router, "--metrics-port", str(port), *SMALL[:4], *arguments], port, 3):
            raise AssertionError("a stranger is ready")
    except RuntimeError as error:
        check("is not ready" in str(error), str(error))


def main():
    with tempfile.TemporaryDirectory() as parent:
        model_file, folder = tiny_model(parent, 5), pathlib.Path(parent, "keys")
        keys("make", folder)
        keys("make", os.path.join(parent, "foreign"))
        with harness.serve(*SMALL, model=model_file) as server:
            model = json.loads(server.request("GET", "/v1/models")[1])["data"][0]["id"]
            expected = answers(server, model), answers(server, model, 4)

        with harness.cluster(*SMALL, "--security-keys", str(folder), model=model_file, decode=2) as server:
            ports = server.metrics
            received = lambda: sum(metric(ports[w], "troupe_worker_transfer_received_bytes_total") for w in WORKERS)  # noqa: E731
            refused = lambda: sum(metric(ports[w], "troupe_worker_handshakes_refused_total") for w in WORKERS)  # noqa: E731
            ready = lambda: metric(ports["router"], "troupe_router_ready_nodes")  # noqa: E731
            eventually(lambda: ready() == 4, "two decoders, a prefiller, a gateway")
            check(answers(server, model) == expected[0], "a cluster with keys answers as one process does")
            eventually(lambda: received() > 0, "pages crossed the data plane")
            check(refused() == 0, "no member was refused")

            stranger(server, model_file)
            stranger(server, model_file, "--security-keys", os.path.join(parent, "foreign"))
            check(ready() == 4, "nobody joined")
            look_at_ports(server, folder)
            eventually(lambda: refused() >= 3, "refused peers are counted")

            # A rotation: some members have the new generation, others do not know yet that it is in use.
            keys("rotate", folder)
            for name in ("decode-0", "prefill-0"):
                pid = pid_of(server, name.split("-")[0], ports[name])
                os.kill(pid, signal.SIGKILL)
                eventually(lambda: ready() < 4, f"{name} is missed")
                eventually(lambda: ready() == 4, f"{name} is back with the next keys")
            before = received()  # of those that are new, from nothing
            check(answers(server, model, 4) == expected[1], "members before and after the step answer together")
            # A worker dials one that was lost again after a pause, and computes itself meanwhile: other prompts until it has.
            others = itertools.count(8, 4)
            eventually(lambda: answers(server, model, next(others)) and received() > before, "and send each other pages")

            config, text = server.request("GET", "/config")[1], server.log_text()
            check(str(folder) in config, "the folder is shown")
            lines = [line for path in folder.glob("*.curve") for line in path.read_text().split()]
            lines += [line for path in folder.glob("*.key") for line in path.read_text().splitlines()[1:-1]]
            check(len(lines) >= 9 and not any(line in config + text for line in lines), "no key is shown or logged")
            logged = re.findall(r"a peer was refused.*", text)
            check(1 <= len(logged) <= len(WORKERS) + 3, f"each process logs an address once: {logged}")
            check(server.stop() == 0, "the cluster drains and ends with 0")

        os.chmod(folder / "2.curve", 0o644)
        loose = subprocess.run([harness.TROUPE, "router", "--security-keys", str(folder)], env=harness.clean_environment(),
                               capture_output=True, text=True, timeout=60)
        check(loose.returncode == 2 and "chmod 600" in loose.stderr, f"a key that others can read: {loose.returncode}: {loose.stderr}")


main()

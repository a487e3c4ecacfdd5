"""What a crash shows: every process of a cluster with keys is killed by a signal that dumps core, in the middle of a request. No key,
prompt or answer is in anything that was written, no core file is there, and the cluster answers again."""
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile

import harness
from harness import check, eventually, metric, pid_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from chaos import tiny_model  # noqa: E402

PROMPT = "zanzibar nutmeg " * 8
CRASHES = (("gateway", signal.SIGSEGV), ("decode-0", signal.SIGABRT), ("prefill-0", signal.SIGILL), ("router", signal.SIGBUS))


def begin(port, secret, model):
    """A stream's first line, which has text; whoever crashes next knows the prompt, the key and an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = {"model": model, "prompt": PROMPT, "max_tokens": 400, "stream": True, "ignore_eos": True}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Authorization": f"Bearer {secret}"})
    response = connection.getresponse()
    check(response.status == 200, f"{response.status}")
    check(any(line.startswith(b"data: ") for line in iter(response.readline, b"")), "the stream has begun")
    return connection


def ready(server):
    try:
        return server.get("/readyz")[0] == 200
    except OSError:
        return False


def ready_nodes(server):
    try:
        return metric(server.metrics["router"], "troupe_router_ready_nodes")
    except OSError:
        return 0


def process(server, name):
    if name == "gateway":
        return pid_of(server, "gateway", str(server.port))
    return pid_of(server, name.split("-")[0], server.metrics[name])


def core_limit(pid):
    return re.search(r"Max core file size\s+(\S+)\s+(\S+)", pathlib.Path(f"/proc/{pid}/limits").read_text()).groups()


def secrets_of(folder, api_key):
    lines = [line for path in folder.glob("*.curve") for line in path.read_text().split()]
    lines += [line for path in folder.glob("*.key") for line in path.read_text().splitlines()[1:-1]]
    return [api_key, PROMPT.split()[0], *lines]


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)  # as where cores are wanted
    with tempfile.TemporaryDirectory() as parent:
        os.chdir(parent)  # where the kernel would put a core file
        folder, api_keys = pathlib.Path(parent, "keys"), pathlib.Path(parent, "api_keys.yaml")
        subprocess.run([harness.TROUPE, "keys", "make", folder], check=True, stdout=subprocess.DEVNULL)
        made = [harness.TROUPE, "keys", "api", "make", api_keys, "--name", "alice", "--tokens-per-minute", "1000000"]
        secret = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        options = ["--engine-threads", "1", "--kv-bytes", "32MiB", "--disagg-min-prompt-tokens", "64", "--security-keys", str(folder),
                   "--log-level", "debug", "--supervisor-restart-first", "10ms"]
        with harness.cluster(*options, model=tiny_model(parent, 5), options={"gateway": {"api_keys": str(api_keys)}}) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {secret}"})
            model = json.loads(connection.getresponse().read())["data"][0]["id"]
            for name, sig in CRASHES:
                pid = process(server, name)
                check(core_limit(pid) == ("0", "0"), f"{name} leaves no core file: {core_limit(pid)}")
                stream = begin(server.port, secret, model)
                os.kill(pid, sig)
                eventually(lambda: not os.path.exists(f"/proc/{pid}"), f"{name} has died")
                stream.close()
                eventually(lambda: ready(server), f"the gateway is ready after {name}")
                eventually(lambda: ready_nodes(server) == 3, f"all are back after {name}")
                begin(server.port, secret, model).close()
            check(server.stop() == 0, "the cluster drains and ends with 0")
            text = server.log_text()
        check(all(str(int(sig)) in text or sig.name in text for _, sig in CRASHES), "the crashes are logged")
        for hidden in secrets_of(folder, secret):
            check(hidden not in text, "a crash shows what it must not")
        check(not list(pathlib.Path(parent).glob("core*")), "no core file")


main()

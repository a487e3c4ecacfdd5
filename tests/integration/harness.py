"""Starts real Troupe processes on free loopback ports and stops them by pid. Standard library only."""
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TROUPE = pathlib.Path(os.environ.get("TROUPE_BINARY", ROOT / "build/release/bin/troupe"))
SKIP = 77  # ctest's SKIP_RETURN_CODE for these tests


def clean_environment():
    """The machine's environment without variables that would configure Troupe, except where its models are."""
    return {k: v for k, v in os.environ.items() if not k.startswith("TROUPE_") or k == "TROUPE_MODELS"}


def models_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(os.environ.get("TROUPE_MODELS", os.path.join(cache, "troupe", "models")))


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def need_model(file_name):
    path = models_folder() / file_name
    if not path.exists():
        skip(f"{path} is absent")
    return str(path)


def need_program(name):
    path = shutil.which(name)
    if path is None:
        skip(f"{name} is absent")
    return path


def interpreter_with(*modules):
    """A Python that has these modules: TROUPE_PYTHON, or that of tests/run; None where it lacks one."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    python = os.environ.get("TROUPE_PYTHON", os.path.join(cache, "troupe", "venv", "bin", "python"))
    words = [python, "-c", f"import {', '.join(modules)}"]
    return python if os.path.exists(python) and subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0 else None


def need_interpreter(*modules):
    python = interpreter_with(*modules)
    if python is None:
        skip(f"no interpreter with {' and '.join(modules)} at TROUPE_PYTHON")
    return python


_given = set()


def free_port():
    """Below the range from which the kernel takes ports for connections and port 0: nobody gets it before its server."""
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise RuntimeError("no free port between 20000 and 32000")


class Server:
    """One command (`serve` or `up`, or another program's) with its children, ready when /readyz says so."""

    def __init__(self, arguments, port, deadline_s=120, program=None, ready="/readyz"):
        self.port = port
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log", delete=False)
        self.process = subprocess.Popen([str(program or TROUPE), *arguments], stdout=self.log, stderr=subprocess.STDOUT,
                                        env=clean_environment(), start_new_session=True)
        try:
            self.wait_until_ready(arguments, deadline_s, ready)
        except BaseException:  # also of an interrupt: nobody else knows the process yet
            self.kill()
            raise

    def wait_until_ready(self, arguments, deadline_s, ready):
        until = time.monotonic() + deadline_s
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"{arguments} ended with {self.process.returncode}:\n{self.log_text()[-3000:]}")
            with contextlib.suppress(OSError):
                if self.get(ready)[0] == 200:
                    return
            if time.monotonic() > until:
                raise RuntimeError(f"{arguments} is not ready after {deadline_s} s:\n{self.log_text()[-3000:]}")
            time.sleep(0.05)

    def kill(self):
        for pid in self.descendants() if self.process.poll() is None else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def log_text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def request(self, method, path, body=None, timeout=300):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path, timeout=10)

    def post(self, path, body):
        status, text = self.request("POST", path, body)
        return status, json.loads(text)

    def descendants(self):
        """pids of this command and everything below it."""
        children = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += children.get(pid, [])
        return found

    def pid_of(self, role, word):
        """The process of this role whose command line holds `word`."""
        for pid in self.descendants():
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if role in words[:3] and any(word in w for w in words):
                    return pid
        raise AssertionError(f"no {role} process with {word}")

    def stop(self, sig=signal.SIGTERM, deadline_s=60):
        """Returns the exit code."""
        pids = self.descendants()
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            code = None
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()
        if code is None:
            raise RuntimeError(f"did not stop within {deadline_s} s")
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.log_text()[-4000:])
        if self.process.poll() is None:
            self.stop()
        os.unlink(self.log.name)


def serve(*arguments, model):
    port = free_port()
    return Server(["serve", "--model", model, "--http-port", str(port), *arguments], port)


def cluster(*arguments, model, prefill=1, decode=1, routers=1, gateways=1, options=None, own=None):
    """Four or more processes through `troupe up`, every port free; metrics of process NAME at server.metrics[NAME],
    the gateways' APIs at server.gateways, the first of them at server.port. `own`: options of single processes by name."""
    ports = [free_port() for _ in range(gateways)]
    names = (["router"] if routers == 1 else [f"router-{i}" for i in range(routers)]) + [f"prefill-{i}" for i in range(prefill)] + [f"decode-{i}" for i in range(decode)]
    metrics = {name: free_port() for name in names}
    processes = [{"role": name.split("-")[0], "name": name, "port": 0,
                  "options": {"metrics": {"port": metrics[name]}, **(own or {}).get(name, {})}}
                 for name in names]
    processes += [{"role": "gateway", "name": f"gateway-{i}", "port": 0, "options": {"http": {"port": port}}}
                  for i, port in enumerate(ports)]
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False)
    json.dump({"host": "127.0.0.1", "options": options or {}, "processes": processes}, file)  # JSON is YAML
    file.close()
    try:
        server = Server(["up", file.name, "--model", model, *arguments], ports[0])
    finally:
        os.unlink(file.name)
    server.metrics = metrics
    server.gateways = ports
    return server


class Redis:
    """A redis-server of the test's own, without files."""

    def __init__(self):
        self.program = need_program("redis-server")
        self.port = free_port()
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                         "--appendonly", "no", "--dir", tempfile.gettempdir()],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.listens, "redis-server listens")

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


def scrape(port, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def metrics(port, names, required=False, host="127.0.0.1"):
    """Of each name the sum of its samples over all label sets; 0 when there is none, which is an error where it is `required`."""
    text = scrape(port, host)
    def total(name):
        samples = [float(m[1]) for m in re.finditer(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+-]+)$", text, re.M)]
        check(samples or not required, f"a process has no metric {name}")
        return sum(samples)
    return [total(name) for name in names]


def series(port, name, host="127.0.0.1"):
    """Samples of a metric by their labels, as written."""
    return {m[1] or "": float(m[2])
            for m in re.finditer(rf"^{re.escape(name)}(?:{{([^}}]*)}})? ([0-9.e+-]+)$", scrape(port, host), re.M)}


def metric(port, name, required=False, host="127.0.0.1"):
    return metrics(port, [name], required, host)[0]


def stream(server, body, after_event=lambda count: None):
    """Text of a streamed completion and its finish reason."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("POST", "/v1/completions", json.dumps({**body, "stream": True}),
                           {"content-type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise AssertionError(f"{response.status}: {response.read()[:300]}")
        text, finish, count = "", None, 0
        for line in response:
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[6:])
            check("error" not in event, f"error event: {event}")
            text += event["choices"][0]["text"]
            finish = event["choices"][0]["finish_reason"] or finish
            count += 1
            after_event(count)
        return text, finish
    finally:
        connection.close()


def pid_of(server, role, metrics_port):
    """The process whose command line names this metrics port."""
    for pid in server.descendants():
        words = open(f"/proc/{pid}/cmdline").read().split("\0")
        if role in words[:3] and any(str(metrics_port) in word for word in words):
            return pid
    raise AssertionError(f"no {role} process with metrics port {metrics_port}")


def eventually(condition, what, deadline_s=30):
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"never became true: {what}")
        time.sleep(0.05)


def check(condition, message):
    if not condition:
        raise AssertionError(message)

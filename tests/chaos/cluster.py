"""A cluster of real processes that a test may kill one by one: every process has fixed free ports, is started again by the
test under the same name, and is stopped by pid."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402
from small_disk import small_disk  # noqa: E402


class Process:
    """One role, run by the words `before`. `start` may be called again after its end."""

    def __init__(self, name, arguments, options, metrics_port, folder, program=None, host="127.0.0.1", before=()):
        self.program, self.before, self.host = str(program or harness.TROUPE), before, host
        self.name, self.arguments, self.options, self.metrics_port = name, arguments, options, metrics_port
        self.log = open(os.path.join(folder, name + ".log"), "ab")  # noqa: SIM115 - lives as long as the cluster
        self.process = None

    @property
    def role(self):
        return self.name.split("-")[0]

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        self.process = subprocess.Popen([*self.before, self.program, *self.arguments], stdout=self.log, stderr=subprocess.STDOUT,
                                        env={**harness.clean_environment(), **self.options}, start_new_session=True)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, deadline_s=60):
        """SIGTERM, and it ends cleanly in time."""
        self.signal(signal.SIGTERM)
        code = self.process.wait(deadline_s)
        if code != 0:
            raise AssertionError(f"{self.name} ended with {code}")

    def metric(self, name):
        return self.metrics(name)[0]

    def metrics(self, *names):
        return harness.metrics(self.metrics_port, names, required=True, host=self.host)

    def held(self):
        """Descriptors and threads."""
        return {"descriptors": len(os.listdir(f"/proc/{self.pid}/fd")), "threads": len(os.listdir(f"/proc/{self.pid}/task"))}


class Network:
    """Links between the processes of a cluster whose faults a test chooses (proxy.py). Per process: "NAME router-I", its way to
    router I, "NAME control" and "NAME data", the ways into it."""

    def __init__(self, seed):
        self.process = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).with_name("proxy.py")), str(seed)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.links = []

    def tell(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def link(self, name, port, kind):
        self.links.append(name)
        return self.tell({"link": name, "to": port, "kind": kind})["port"]

    def of(self, process, *kinds):
        return [name for name in self.links if name.split()[0] == process and name.split()[1].split("-")[0] in kinds]

    def fault(self, kind, links, share=1.0):
        self.tell({"fault": kind, "links": links, "share": share})

    def heal(self):
        self.tell({"heal": self.links})

    def counts(self):
        return self.tell({"counts": True})

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Cluster:
    """A router, gateways, prefill and decode workers. Use with `with`. `options`: {"engine.threads": 1, ...} for every role that
    uses them. On loopback: with `network` every connection between two of them goes through a link of it. With `wires` each is in
    a place of its own there. `disk_megabytes`: workers keep pages on a small disk, `disk`, where one can be mounted."""

    def __init__(self, model, options, decode=3, prefill=1, gateways=1, routers=1, redis=False, network=None, wires=None,
                 disk_megabytes=0):
        self.model, self.network, self.wires = model, network, wires
        self.folder = tempfile.mkdtemp(prefix="troupe-chaos-")
        self.disk = None
        if disk_megabytes:
            os.mkdir(self.disk_folder)
            self.disk = small_disk(self.disk_folder, disk_megabytes)
        self.http_ports = [harness.free_port() for _ in range(gateways)]
        router_ports = [harness.free_port() for _ in range(routers)]
        self.environment = {"TROUPE_" + key.upper().replace(".", "_"): str(value) for key, value in options.items()}
        self.processes = {}
        names = [f"router-{i}" for i in range(routers)]
        names += [f"{role}-{i}" for role, count in (("prefill", prefill), ("decode", decode), ("gateway", gateways)) for i in range(count)]
        self.hosts = {name: wires.add(name) if wires else "127.0.0.1" for name in [*names, *(["redis"] if redis else [])]}
        self.routers = {f"router-{i}": port for i, port in enumerate(router_ports)}
        if redis:
            self.add_redis()
        for name in names:
            self.add(name)

    @property
    def disk_folder(self):
        return os.path.join(self.folder, "disk")

    @property
    def gateways(self):
        """"HOST:PORT" of their APIs."""
        return [f"{self.hosts[f'gateway-{i}']}:{port}" for i, port in enumerate(self.http_ports)]

    def place(self, name):
        return {"host": self.hosts[name], "before": self.wires.inside(name) if self.wires else ()}

    def linked(self, name, kind, port):
        """Where others reach this port of the process, or it reaches that of a router."""
        host = self.hosts[kind if kind in self.routers else name]
        if self.network:
            port = self.network.link(f"{name} {kind}", port, "data" if kind == "data" else "control")
        return f"{host}:{port}"

    def add_redis(self):
        port = harness.free_port()
        self.environment["TROUPE_CLUSTER_DIRECTORY"] = f"redis://{self.hosts['redis']}:{port}/0"
        arguments = ["--port", str(port), "--bind", self.hosts["redis"], "--protected-mode", "no", "--save", "", "--appendonly", "no",
                     "--dir", self.folder]
        self.processes["redis"] = Process("redis", arguments, {}, None, self.folder, "redis-server", **self.place("redis"))

    def add(self, name):
        role, host = name.split("-")[0], self.hosts[name]
        port = self.routers.get(name) or harness.free_port()
        listen, metrics = ["--cluster-listen", f"{host}:{port}"], None
        if role != "router":
            listen += ["--cluster-router", ",".join(self.linked(name, router, at) for router, at in self.routers.items())]
            if self.network:
                listen += ["--cluster-advertise", self.linked(name, "control", port)]
        if role in ("prefill", "decode"):
            data = harness.free_port()
            listen += ["--cluster-data-listen", f"{host}:{data}"]
            if self.network:
                listen += ["--cluster-data-advertise", self.linked(name, "data", data)]
            if self.disk:
                listen += ["--kv-disk-path", self.disk_folder]
        if role == "gateway":
            listen += ["--http-host", host, "--http-port", str(self.http_ports[int(name.split("-")[1])])]
        else:
            metrics = harness.free_port()
            listen += ["--metrics-host", host, "--metrics-port", str(metrics)]
        if self.wires:
            listen.append("--insecure")  # nobody else is on that network
        self.processes[name] = Process(name, [role, "--model", self.model, *listen], self.environment, metrics, self.folder,
                                       **self.place(name))

    def of(self, role):
        return [p for p in self.processes.values() if p.role == role]

    def start(self, deadline_s=60):
        for process in self.processes.values():
            process.start()
        self.wait_whole(deadline_s)

    def wait_whole(self, deadline_s=60):
        """Until the router counts every other process and each gateway would answer."""
        def whole():
            with contextlib.suppress(OSError, http.client.HTTPException):
                # Workers join every router, a gateway one of them.
                routers, workers = self.of("router"), len(self.of("prefill") + self.of("decode"))
                known = sum(router.metric("troupe_router_ready_nodes") for router in routers)
                return (known == workers * len(routers) + len(self.of("gateway"))
                        and all(router.metric("troupe_router_ready_nodes") >= workers for router in routers)
                        and all(self.get(i, "/readyz")[0] == 200 for i in range(len(self.http_ports))))
            return False
        until = time.monotonic() + deadline_s
        while not whole():
            dead = [p.name for p in self.processes.values() if not p.alive()]
            if dead or time.monotonic() > until:
                raise AssertionError(f"the cluster is not whole; dead: {dead}\n{self.logs()}")
            time.sleep(0.02)

    def get(self, gateway, path):
        connection = http.client.HTTPConnection(self.gateways[gateway], timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def logs(self, tail=1500):
        return "\n".join(f"--- {name}\n" + pathlib.Path(self.folder, name + ".log").read_text(errors="replace")[-tail:]
                         for name in self.processes)

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever ends the test ends its processes
        try:
            self.start()
        except BaseException:
            self.__exit__(None)
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.logs())
        for process in self.processes.values():
            if process.alive():
                process.signal(signal.SIGCONT)
                process.kill()
            process.log.close()
        if self.network:
            self.network.stop()
        for name in self.processes:
            os.unlink(os.path.join(self.folder, name + ".log"))
        if self.disk:
            self.disk.stop()
        if os.path.exists(self.disk_folder):
            os.rmdir(self.disk_folder)
        os.rmdir(self.folder)

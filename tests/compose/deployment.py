"""A deployment of deploy/compose.yaml under a project of its own: free ports, own secrets, and nothing left when it ends."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def run(*command, env=None, check=True, timeout=600):
    """Its standard output."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def compose_client():
    """The v2 plugin where there is one."""
    v2 = ["docker", "compose"]
    return v2 if subprocess.run([*v2, "version"], capture_output=True).returncode == 0 else ["docker-compose"]


class Deployment:
    """With `keys`, compose.keys.yaml lies on top, and deploy/cluster-keys has made keys of its own for it."""

    def __init__(self, tag, keys=False):
        self.project = f"troupe-test-{os.getpid()}"
        self.port, self.prometheus_port = free_port(), free_port()
        self.folder = tempfile.mkdtemp(prefix="troupe-compose-")
        os.chmod(self.folder, 0o711)
        run(str(ROOT / "deploy/make-secrets"), self.folder)
        self.env = {**os.environ, "COMPOSE_PROJECT_NAME": self.project, "COMPOSE_PROFILES": "full", "TROUPE_TAG": tag,
                    "TROUPE_PORT": str(self.port), "TROUPE_PROMETHEUS_PORT": str(self.prometheus_port),
                    "TROUPE_SECRETS": self.folder, "DOCKER_CLI_HINTS": "false", "COMPOSE_HTTP_TIMEOUT": "600"}
        self.client = compose_client()
        self.files = ["-f", str(ROOT / "deploy/compose.yaml")]
        self.keys = None
        if keys:
            self.keys = self.env["TROUPE_KEYS"] = os.path.join(self.folder, "keys")
            self.files += ["-f", str(ROOT / "deploy/compose.keys.yaml")]
            self.cluster_keys("make")

    def compose(self, *arguments, timeout=600):
        return run(*self.client, *self.files, *arguments, env=self.env, timeout=timeout)

    def cluster_keys(self, verb, folder=None):
        """What deploy/cluster-keys says."""
        return run(str(ROOT / "deploy/cluster-keys"), verb, *([folder] if folder else []), env=self.env)

    def metric(self, query):
        """The sum of what Prometheus answers."""
        url = f"http://127.0.0.1:{self.prometheus_port}/api/v1/query?query={urllib.parse.quote(query)}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return sum(float(row["value"][1]) for row in json.load(response)["data"]["result"])

    def get_models(self, folder):
        """Fills the volume from this folder, or without one fetches the model as a user does."""
        if folder is None:
            print(self.compose("run", "--rm", "-T", "models", timeout=1200), flush=True)
        else:
            run(str(ROOT / "deploy/fill-models"), str(folder), env=self.env)

    def up(self, *arguments):
        self.compose("up", "-d", *arguments)

    def containers(self, service):
        """Ids of the running ones."""
        return run("docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={self.project}",
                   "--filter", f"label=com.docker.compose.service={service}").split()

    def all_containers(self):
        return {c for s in ("router", "gateway", "prefill", "decode", "redis", "prometheus") for c in self.containers(s)}

    def state(self, container):
        return json.loads(run("docker", "inspect", container))[0]

    def healthy(self, service):
        return [c for c in self.containers(service) if self.state(c)["State"].get("Health", {}).get("Status") == "healthy"]

    def kill(self, container):
        """As a crash does: the process dies, and the restart policy is left to act (docker kill would switch it off)."""
        os.kill(self.state(container)["State"]["Pid"], signal.SIGKILL)

    def wait_healthy(self, service, count, deadline_s=180):
        until = time.monotonic() + deadline_s
        while len(self.healthy(service)) != count or len(self.containers(service)) != count:
            if time.monotonic() > until:
                logs = "".join(run("docker", "logs", "--tail", "20", c, check=False) for c in self.containers(service))
                raise AssertionError(f"{service}: not {count} healthy containers after {deadline_s} s\n{logs}")
            time.sleep(0.2)

    def left(self):
        """What Docker still has of this project."""
        label = f"label=com.docker.compose.project={self.project}"
        return [*run("docker", "ps", "-aq", "--filter", label).split(),
                *run("docker", "network", "ls", "-q", "--filter", label).split(),
                *run("docker", "volume", "ls", "-q", "--filter", label).split()]

    def down(self):
        self.compose("down", "-v", "--remove-orphans")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            for container in run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split():
                state = self.state(container)
                print(f"--- {state['Name']}: {state['State']['Status']}, restarts {state['RestartCount']}")
                print(subprocess.run(["docker", "logs", "--tail", "30", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     text=True).stdout)
        try:
            self.down()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

"""A deployment with keys: who has none, or others, does not join; new keys are taken under load, member by member."""
import pathlib
import re
import subprocess
import time

from deployment import check, run

# A container of the deployment's image as a worker of its own, with what compose.yaml tells those of the deployment.
WORKER = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:mode=1777",
          "-e", "TROUPE_MODEL=smollm2-135m-instruct", "-e", "TROUPE_CLUSTER_ROUTER=router:7400", "-e", "TROUPE_CLUSTER_LISTEN=0.0.0.0:7400",
          "-e", "TROUPE_CLUSTER_DATA_LISTEN=0.0.0.0:7401", "-e", "TROUPE_LOG_JSON=true"]


class Newcomer:
    """A decode worker that would join, with keys from this folder, or with none."""

    def __init__(self, deployment, keys):
        how = ["-v", f"{keys}:/run/troupe-keys:ro", "-e", "TROUPE_SECURITY_KEYS=/run/troupe-keys"] if keys else ["-e", "TROUPE_INSECURE=true"]
        self.id = run("docker", "run", "-d", "--network", f"{deployment.project}_cluster", "-v", f"{deployment.project}_models:/models:ro",
                      *WORKER, *how, f"troupe:{deployment.env['TROUPE_TAG']}", "decode").strip()

    def ready(self):
        return subprocess.run(["docker", "exec", self.id, "/usr/bin/troupe", "health", "decode", "--quiet"], capture_output=True).returncode == 0

    def log(self):
        done = subprocess.run(["docker", "logs", self.id], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run("docker", "stop", "--time", "40", self.id)
        run("docker", "rm", self.id)


def seconds_to_join(deployment, deadline_s=60):
    began = time.monotonic()
    with Newcomer(deployment, deployment.keys) as member:
        while not member.ready():
            check(time.monotonic() < began + deadline_s, f"a member with the keys does not become ready:\n{member.log()[-2000:]}")
            time.sleep(0.2)
        return time.monotonic() - began


def check_secrets_stay(deployment, text, where):
    """No line of the keys' files is in a log; those of certificates neither."""
    for path in pathlib.Path(deployment.keys).iterdir():
        for line in path.read_text().splitlines():
            check(len(line) < 40 or line not in text, f"{where} shows a line of {path.name}")


def check_strangers(deployment):
    """A member joins; a worker without keys and one with others do not in twice its time, and the keys are in no log."""
    foreign = str(pathlib.Path(deployment.folder, "foreign"))
    deployment.cluster_keys("make", foreign)
    patience_s = max(15, 2 * seconds_to_join(deployment))
    with Newcomer(deployment, None) as without, Newcomer(deployment, foreign) as others:
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            check(not without.ready() and not others.ready(), "a stranger is ready")
            time.sleep(0.5)
        check(deployment.metric('max(troupe_router_ready_nodes{role="decode"})') == 2, "a stranger joined")
        for stranger in (without, others):
            check(deployment.state(stranger.id)["State"]["Running"], f"the stranger ended by itself:\n{stranger.log()[-2000:]}")
    for container in deployment.all_containers():
        logs = subprocess.run(["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        check_secrets_stay(deployment, logs, deployment.state(container)["Name"])
    print(f"  strangers without keys and with others did not join in {patience_s:.0f} s", flush=True)


def generations(deployment):
    """{"in use": number, "next": number, "retiring": number}"""
    return {state: int(number) for number, state in re.findall(r"^(\d+)\s+(in use|next|retiring)", deployment.cluster_keys("show"), re.M)}


def rotate(deployment, verb, roll):
    """One step, and every container restarted with it."""
    before = generations(deployment)
    deployment.cluster_keys(verb)
    after, used = generations(deployment), before["in use"]
    expected = {"in use": used + 1, "next": used + 2, "retiring": used} if verb == "rotate" else {"in use": used, "next": used + 1}
    check(after == expected, f"{verb} made {after} of {before}")
    roll()

"""deploy/compose.yaml as a user runs it, disturbed under load: no request fails or differs, and nothing is left."""
import argparse
import json
import time
import urllib.request
import uuid

from deployment import ROOT, Deployment, check, run
from image import check_image, check_same_again
from load import PROMPTS, Load, answer, client

FIRST_TOKEN_BAR_S = 60


def first_token(deployment):
    """Seconds from `up` to the first token of an answer."""
    began = time.monotonic()
    deployment.up()
    with client(deployment.port) as api:
        answer(api, PROMPTS[0], str(uuid.uuid4()), max_tokens=1)
    return time.monotonic() - began


def check_containers(deployment):
    """What the file promises of every container, as the engine sees it."""
    for service in ("router", "gateway", "prefill", "decode", "redis", "prometheus"):
        for container in deployment.containers(service):
            state = deployment.state(container)
            host, name = state["HostConfig"], state["Name"]
            check(host["ReadonlyRootfs"], f"{name}: its root can be written")
            check("ALL" in host["CapDrop"] and "no-new-privileges:true" in host["SecurityOpt"], f"{name} may gain privileges")
            check(host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0, f"{name} has no limits")
            check(state["Config"]["User"] not in ("", "root", "0"), f"{name} runs as {state['Config']['User']!r}")
            check(not any("redis_password" in entry and "FILE" not in entry for entry in state["Config"]["Env"]), f"{name} shows a secret")


def check_prometheus(deployment, targets, deadline_s=90):
    """Prometheus scrapes every role's container."""
    url = f"http://127.0.0.1:{deployment.prometheus_port}/api/v1/query?query=up%7Bjob%3D%22troupe%22%7D"
    until, found = time.monotonic() + deadline_s, []
    while time.monotonic() < until:
        with urllib.request.urlopen(url, timeout=10) as response:
            found = json.load(response)["data"]["result"]
        if sum(float(row["value"][1]) for row in found) >= targets:
            return
        time.sleep(1)
    raise AssertionError(f"Prometheus sees {found}, expected {targets} targets that are up")


def disturb(deployment, load):
    """(what was done, its seconds), each under load and until all is healthy again."""
    def kill(service):
        containers = deployment.containers(service)
        deployment.kill(containers[0])
        load.wait_for(4)
        deployment.wait_healthy(service, len(containers))

    def scale(count):
        deployment.up("--no-recreate", "--scale", f"decode={count}")
        deployment.wait_healthy("decode", count)
        load.wait_for(8)

    def roll():
        before = {c for s in ("router", "gateway", "prefill", "decode", "redis", "prometheus") for c in deployment.containers(s)}
        run(str(ROOT / "deploy/roll"), env=deployment.env, timeout=1800)
        after = {c for s in ("router", "gateway", "prefill", "decode", "redis", "prometheus") for c in deployment.containers(s)}
        check(len(after) == len(before) and not before & after, f"rolling left {before & after} of {before}, now {after}")

    steps = [(f"kill {service}", lambda service=service: kill(service)) for service in ("decode", "prefill", "router", "redis", "gateway")]
    steps += [("scale decode to 4", lambda: scale(4)), ("scale decode to 2", lambda: scale(2)), ("roll every service", roll)]
    for name, step in steps:
        began, answered, repeated = time.monotonic(), load.done, load.repeated
        step()
        load.wait_for(4)
        check(not load.failures, f"{name}: {load.failures[:3]}")
        print(f"  {name:20} {time.monotonic() - began:6.1f} s, {load.done - answered} answers, {load.repeated - repeated} asked again", flush=True)


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--models", help="folder whose GGUF files fill the volume")
    flags.add_argument("--clients", type=int, default=4)
    flags.add_argument("--tag", default="test")
    flags.add_argument("--prebuilt", action="store_true", help="the images were made of build/image-root")
    settings = flags.parse_args()
    check_image(settings.tag)
    with Deployment(settings.tag) as deployment:
        if settings.models:
            deployment.fill_models(settings.models)
        else:
            print(deployment.compose("run", "--rm", "-T", "models", timeout=1200), flush=True)
        seconds = first_token(deployment)
        print(f"  from up to the first token: {seconds:.1f} s", flush=True)
        for service, count in (("decode", 2), ("prefill", 2), ("prometheus", 1)):
            deployment.wait_healthy(service, count)
        check_containers(deployment)
        check_prometheus(deployment, 6)
        with client(deployment.port) as api:
            expected = {prompt: answer(api, prompt, str(uuid.uuid4())) for prompt in PROMPTS}
        with Load(deployment.port, settings.clients, expected) as load:
            disturb(deployment, load)
        check(not load.failures, f"failed: {load.failures}")
        print(f"  {load.done} requests, {load.repeated} asked again, none failed or different; longest {load.longest_s:.1f} s")
        check(seconds <= FIRST_TOKEN_BAR_S, f"the first token came after {seconds:.1f} s, the bar is {FIRST_TOKEN_BAR_S} s")
        deployment.down()
        left = deployment.left()
        check(not left, f"left after down: {left}")
    epoch = run("git", "-C", str(ROOT), "log", "-1", "--format=%ct").strip()
    arguments = ["--build-arg", f"SOURCE_DATE_EPOCH={epoch}"]
    check_same_again(settings.tag, [*arguments, *(["--build-arg", "PREBUILT=build/image-root"] if settings.prebuilt else [])])
    print("compose: ok")


if __name__ == "__main__":
    main()

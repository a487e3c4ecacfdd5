"""deploy/compose.yaml as a user runs it, disturbed under load: no request fails or differs, and nothing is left."""
import argparse
import time
import uuid

from deployment import ROOT, Deployment, check, run
from image import check_image, check_same_again
from keys import check_strangers, rotate
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
    until, found = time.monotonic() + deadline_s, 0
    while time.monotonic() < until:
        found = deployment.metric('up{job="troupe"}')
        if found >= targets:
            return
        time.sleep(1)
    raise AssertionError(f"Prometheus sees {found} targets that are up, expected {targets}")


def check_status(deployment):
    """deploy/status names every container, with an address for each worker of its own."""
    rows = [line.split() for line in run(str(ROOT / "deploy/status"), env=deployment.env).splitlines()[1:]]
    workers = [row for row in rows if row[0] in ("prefill", "decode")]
    check(len(workers) == 4 and len({row[4] for row in workers}) == 4, f"deploy/status: {rows}")
    check({row[3] for row in rows if row[0] != "models"} == {"healthy"}, f"deploy/status: {rows}")
    return workers


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
        before = deployment.all_containers()
        run(str(ROOT / "deploy/roll"), env=deployment.env, timeout=1800)
        after = deployment.all_containers()
        check(len(after) == len(before) and not before & after, f"rolling left {before & after} of {before}, now {after}")

    def roll_one():
        """By the address that the dashboard shows."""
        chosen = next(row for row in check_status(deployment) if row[0] == "decode")
        before = deployment.all_containers()
        run(str(ROOT / "deploy/roll"), chosen[4], env=deployment.env)
        check(len(before & deployment.all_containers()) == len(before) - 1, "another worker was replaced too")
        check(chosen[1] not in [row[1] for row in check_status(deployment)], f"{chosen[1]} is still there")

    steps = [(f"kill {service}", lambda service=service: kill(service)) for service in ("decode", "prefill", "router", "redis", "gateway")]
    steps += [("scale decode to 4", lambda: scale(4)), ("scale decode to 2", lambda: scale(2)), ("roll one worker", roll_one),
              ("roll every service", roll)]
    if deployment.keys:
        steps += [("rotate keys, roll", lambda: rotate(deployment, "rotate", roll)), ("retire keys, roll", lambda: rotate(deployment, "retire", roll))]
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
    flags.add_argument("--keys", action="store_true", help="cluster ports that take members only, whose keys are rotated under load")
    settings = flags.parse_args()
    check_image(settings.tag)
    with Deployment(settings.tag, settings.keys) as deployment:
        deployment.get_models(settings.models)
        seconds = first_token(deployment)
        print(f"  from up to the first token: {seconds:.1f} s", flush=True)
        for service, count in (("decode", 2), ("prefill", 2), ("prometheus", 1)):
            deployment.wait_healthy(service, count)
        check_containers(deployment)
        check_prometheus(deployment, 6)
        check_status(deployment)
        if settings.keys:
            check_strangers(deployment)
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
    if settings.keys:  # the same images: the run without keys builds them again
        print("compose with keys: ok")
        return
    check_same_again(settings.tag, ["--build-arg", "PREBUILT=build/image-root"] if settings.prebuilt else [])
    print("compose: ok")


if __name__ == "__main__":
    main()

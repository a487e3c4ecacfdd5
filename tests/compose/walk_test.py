"""README's path of an operator: a worker gets slow under load; the dashboard marks it; it is drained there, mended and taken back; then
drained again and replaced by one of another version. Meanwhile no request fails or differs. Needs Chromium, chromedriver and selenium.
TROUPE_SCREENSHOTS=FOLDER keeps pictures of what the operator sees."""
import argparse
import pathlib
import sys
import time
import uuid

from deployment import ROOT, Deployment, check, run
from load import PROMPTS, Load, answer, client

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from browser import Browser  # noqa: E402

SLOW_CPUS, USUAL_CPUS = "0.1", "2"
AT_ALL = ("ready", "busy")


def workers(deployment):
    """{container's name: (address, image)} of decode workers, as deploy/status says."""
    rows = [line.split() for line in run(str(ROOT / "deploy/status"), env=deployment.env).splitlines()[1:]]
    return {row[1]: (row[4], row[2]) for row in rows if row[0] == "decode"}


class Operator:
    """Somebody in front of the page Cluster."""

    def __init__(self, browser, port):
        self.browser = browser
        browser.open(f"http://127.0.0.1:{port}/#/cluster")
        browser.until(lambda: len(self.badges()) == 4, "the four workers are there")

    def badges(self):
        """{"decode 172.20.0.5": "ready", ...}"""
        return {card.find_element("css selector", "h3").text: card.find_element("css selector", ".badge").text
                for card in self.browser.all(".card[data-worker]")}

    def wait_for(self, badge, name=None, deadline_s=120):
        """Until the worker of this name, or any, has this badge; its name."""
        wanted, found = badge if isinstance(badge, tuple) else (badge,), []

        def holds():
            found[:] = [n for n, b in self.badges().items() if b in wanted and name in (None, n)]
            return found
        self.browser.until(holds, f"{name or 'a worker'} is {badge}", deadline_s)
        return found[0]

    def press(self, name):
        """The worker's button Drain or Undrain; a question is answered with yes."""
        card = next(c for c in self.browser.all(".card[data-worker]") if c.find_element("css selector", "h3").text == name)
        button = card.find_element("css selector", ".actions .quiet")
        asks = button.text == "Drain"
        button.click()
        if asks:
            self.browser.picture("drain")
            self.browser.find("dialog .primary").click()


def find_and_drain(deployment, operator, slow):
    """The seconds until the dashboard shows the slow one, and its name there."""
    for name in operator.badges():
        operator.wait_for(AT_ALL, name)
    run("docker", "update", "--cpus", SLOW_CPUS, slow)
    began = time.monotonic()
    name = operator.wait_for("slow")
    seconds = time.monotonic() - began
    operator.browser.picture("slow")
    check(name == f"decode {workers(deployment)[slow][0]}", f"{name} is marked, {slow} is slow: {workers(deployment)}")
    operator.press(name)
    operator.wait_for("drained", name)
    operator.browser.picture("drained")
    return seconds, name


def walk(deployment, load, operator, other_tag):
    slow = sorted(workers(deployment))[0]
    load.wait_for(12)
    seconds, name = find_and_drain(deployment, operator, slow)
    print(f"  {slow} is marked as slow {seconds:.1f} s after it got slow, and drained", flush=True)
    run("docker", "update", "--cpus", USUAL_CPUS, slow)
    operator.press(name)
    operator.wait_for(AT_ALL, name)
    load.wait_for(8)
    seconds, name = find_and_drain(deployment, operator, slow)
    print(f"  mended, taken back, slow again: marked after {seconds:.1f} s, and drained", flush=True)
    address = name.split()[1]
    began = time.monotonic()
    said = run(str(ROOT / "deploy/roll"), address, env={**deployment.env, "TROUPE_TAG": other_tag})
    after = workers(deployment)
    images = sorted(image.split(":")[1] for _, image in after.values())
    check(slow not in after and images == sorted([deployment.env["TROUPE_TAG"], other_tag]), f"{said}: {after}")
    fresh = next(a for a, image in after.values() if image.endswith(f":{other_tag}"))
    operator.wait_for(AT_ALL, f"decode {fresh}")
    operator.browser.until(lambda: len(operator.badges()) == 4, "the old one is gone from the page")
    print(f"  replaced by one of another version in {time.monotonic() - began:.1f} s", flush=True)
    load.wait_for(8)
    operator.browser.picture("upgraded")


def main():
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--models", help="folder whose GGUF files fill the volume")
    flags.add_argument("--clients", type=int, default=6)
    flags.add_argument("--tag", default="test")
    settings = flags.parse_args()
    other_tag = f"{settings.tag}-next"
    run("docker", "tag", f"troupe:{settings.tag}", f"troupe:{other_tag}")
    try:
        with Deployment(settings.tag) as deployment, Browser() as browser:
            deployment.get_models(settings.models)
            deployment.up()
            for service in ("decode", "prefill"):
                deployment.wait_healthy(service, 2)
            with client(deployment.port) as api:
                expected = {prompt: answer(api, prompt, str(uuid.uuid4())) for prompt in PROMPTS}
            with Load(deployment.port, settings.clients, expected) as load:
                walk(deployment, load, Operator(browser, deployment.port), other_tag)
            check(not load.failures, f"failed: {load.failures}")
            print(f"  {load.done} requests, {load.repeated} asked again, none failed or different")
    finally:
        run("docker", "rmi", f"troupe:{other_tag}")
    print("walk: ok")


main()

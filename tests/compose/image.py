"""What the runtime image promises of itself: small, without a shell, its contents listed, the same layer when it is built again."""
import datetime
import json
import os
import subprocess
import tempfile

from deployment import ROOT, check, run

LARGEST_MB = 150


def inspect(image):
    return json.loads(run("docker", "image", "inspect", image))[0]


def read_file(image, path):
    """A file of an image, which need not be able to run anything."""
    container = run("docker", "create", image).strip()
    try:
        with tempfile.TemporaryDirectory() as folder:
            run("docker", "cp", f"{container}:{path}", f"{folder}/file")
            with open(f"{folder}/file") as file:
                return file.read()
    finally:
        run("docker", "rm", container)


def check_image(tag):
    image = f"troupe:{tag}"
    found = inspect(image)
    size = found["Size"] / 1e6
    check(size < LARGEST_MB, f"{image} has {size:.0f} MB")
    config = found["Config"]
    check(config["User"] == "10001:10001" and config["Healthcheck"]["Test"][:2] == ["CMD", "/usr/bin/troupe"], f"{image}: {config}")
    shell = subprocess.run(["docker", "run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", image, "-c", "true"], capture_output=True)
    check(shell.returncode == 127, f"{image} has a shell (its exit status: {shell.returncode})")
    said = run("docker", "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", image, "version")
    check(said.startswith("troupe "), f"{image} says {said!r} on a root that cannot be written")
    names = {package["name"] for package in bill_of_materials(image)["packages"]}
    check({"troupe", "libc6", "libzmq5", "libhiredis0.14", "libsqlite3-0"} <= names, f"the bill of materials lists {sorted(names)}")
    print(f"  {image}: {size:.0f} MB, {len(names)} packages", flush=True)


def bill_of_materials(image):
    return json.loads(read_file(image, inspect(image)["Config"]["Labels"]["org.troupe.sbom"]))


def check_same_again(tag, arguments):
    """Built again without a cache, for the time that its bill of materials names, the layer with our files has the same digest. The two
    after it are empty folders that belong to the image's user; the engine's own builder gives them the time of the build."""
    again = f"troupe:{tag}-again"
    env = {**os.environ, "DOCKER_BUILDKIT": "0"}
    created = datetime.datetime.fromisoformat(bill_of_materials(f"troupe:{tag}")["creationInfo"]["created"].replace("Z", "+00:00"))
    run("docker", "build", "--no-cache", "-t", again, "-f", str(ROOT / "docker/Dockerfile"), "--target", "runtime",
        "--build-arg", f"SOURCE_DATE_EPOCH={created.timestamp():.0f}", *arguments, str(ROOT), env=env, timeout=3600)
    try:
        ours = [inspect(image)["RootFS"]["Layers"][0] for image in (again, f"troupe:{tag}")]
        check(ours[0] == ours[1], f"the second build has another layer: {ours}")
    finally:
        run("docker", "rmi", again)
    print("  built again: the same layer", flush=True)

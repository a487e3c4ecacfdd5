"""The Debian package on an empty Debian 12 root: apt installs it with what it depends on, its user serves a model, purge leaves nothing."""
import argparse
import glob
import os
import tempfile
import time

from deployment import ROOT, check, run

NAME = f"troupe-clean-root-{os.getpid()}"


def inside(*command, user="root", env=(), timeout=600):
    variables = [word for pair in env for word in ("-e", pair)]
    return run("docker", "exec", "-u", user, *variables, NAME, *command, timeout=timeout)


def serve_and_ask(model):
    env = ["TROUPE_CONFIG=/etc/troupe/troupe.yaml", "TROUPE_MODELS=/var/lib/troupe/models", f"TROUPE_MODEL={model}"]
    run("docker", "exec", "-d", "-u", "troupe", *[word for pair in env for word in ("-e", pair)], NAME, "/usr/bin/troupe", "serve")
    until = time.monotonic() + 120
    while True:
        try:
            check(inside("troupe", "health", user="troupe", env=env) == "ready\n", "health says something else")
            return
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--build", default=str(ROOT / "build/release"), help="the build folder that cpack packs")
    flags.add_argument("--models", required=True, help="folder that holds the default model")
    settings = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run("cpack", "-G", "DEB", "--config", f"{settings.build}/CPackConfig.cmake", "-B", folder)
        package, = glob.glob(f"{folder}/troupe_*.deb")
        run("docker", "run", "-d", "--name", NAME, "--init", "-v", f"{package}:/troupe.deb:ro", "-v", f"{settings.models}:/from:ro",
            "debian:bookworm-slim", "sleep", "3600")
        try:
            inside("apt-get", "update", "-qq")
            inside("apt-get", "install", "-y", "-qq", "--no-install-recommends", "/troupe.deb")
            check(inside("stat", "-c", "%U %a", "/var/lib/troupe").split() == ["troupe", "750"], "its folder is somebody else's")
            inside("install", "-o", "troupe", "/from/SmolLM2-135M-Instruct.Q4_1.gguf", "/var/lib/troupe/models")
            serve_and_ask("smollm2-135m-instruct")
            inside("apt-get", "purge", "-y", "-qq", "troupe")
            left = inside("sh", "-c", "ls -d /usr/bin/troupe /etc/troupe /var/lib/troupe /lib/systemd/system/troupe* 2>/dev/null || true")
            check(left == "", f"left after purge: {left}")
        finally:
            run("docker", "rm", "-f", NAME)
    print("clean root: ok")


main()

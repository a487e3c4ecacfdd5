#!/usr/bin/env python3
"""The Debian package on an empty Debian 12 root: apt installs it with what it depends on, its user serves a model that answers, purge
leaves nothing. Needs root, debootstrap and a Debian mirror, but no container engine; the empty root is kept in the cache.

  tests/compose/clean_root_test.py [--build build/release] [--models FOLDER]"""
import argparse
import contextlib
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from deployment import ROOT, check, free_port, run

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "troupe"
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
# /proc is there for the command alone: its mount ends with it.
ENTER = ["unshare", "--mount", "sh", "-c", 'root=$1; shift; mount -t proc proc "$root/proc" && exec chroot "$root" "$@"', "enter"]
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class Root:
    """A fresh root in a folder that is deleted in the end."""

    def __enter__(self):
        archive = CACHE / "roots/bookworm.tar"
        run(str(ROOT / "deploy/make-base-image"), "--tar", str(archive), timeout=1800)
        self.path = tempfile.mkdtemp(prefix="troupe-root-", dir=CACHE)
        try:
            run("tar", "-C", self.path, "--numeric-owner", "-xpf", str(archive))
            os.chmod(self.path, 0o755)
            for file in ("resolv.conf", "hosts"):  # the host's way to the mirror
                shutil.copy(f"/etc/{file}", f"{self.path}/etc/{file}")
        except BaseException:
            shutil.rmtree(self.path)
            raise
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def inside(self, *command, timeout=600):
        return run(*ENTER, self.path, *command, env=CLEAN, timeout=timeout)

    def start(self, *command, log, **variables):
        """As the package's user; the process is the command itself."""
        user = ["setpriv", "--reuid=troupe", "--regid=troupe", "--init-groups", "--no-new-privs"]
        return subprocess.Popen([*ENTER, self.path, *user, *command], env={**CLEAN, **variables}, stdout=log, stderr=subprocess.STDOUT)

    def ours(self):
        """Whatever bears our name or belongs to our user."""
        return self.inside("find", "/", "-xdev", "(", "-iname", "*troupe*", "-o", "-user", "troupe", ")", "-print").split()


def ask(port):
    body = json.dumps({"model": "smollm2-135m-instruct", "temperature": 0, "max_tokens": 24,
                       "messages": [{"role": "user", "content": "What is the capital of France?"}]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)["choices"][0]["message"]["content"]


@contextlib.contextmanager
def serving(root, port):
    """`troupe serve` with the package's own configuration, until it is ready; it drains and ends with 0."""
    settings = {"TROUPE_CONFIG": "/etc/troupe/troupe.yaml", "TROUPE_MODELS": "/var/lib/troupe/models", "TROUPE_HTTP_PORT": str(port),
                "XDG_RUNTIME_DIR": "/run/troupe", "HOME": "/var/lib/troupe"}
    root.inside("install", "-d", "-o", "troupe", "-g", "troupe", "-m", "0700", "/run/troupe")  # what systemd would make, and delete
    with tempfile.TemporaryFile("w+") as log:
        process = root.start("/usr/bin/troupe", "serve", log=log, **settings)
        try:
            until = time.monotonic() + 120
            while subprocess.run([*ENTER, root.path, "troupe", "health", "--quiet"], env={**CLEAN, **settings}, capture_output=True).returncode != 0:
                log.seek(0)
                check(process.poll() is None and time.monotonic() < until, f"it is not ready:\n{log.read()[-3000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            code = process.wait(60)
        log.seek(0)
        check(code == 0, f"it ended with {code}:\n{log.read()[-3000:]}")
    root.inside("rm", "-r", "/run/troupe")


def check_package(root, package, models):
    shutil.copy(package, f"{root.path}/var/cache/package.deb")
    root.inside("apt-get", "update", "-qq")
    root.inside("apt-get", "install", "-y", "-qq", "--no-install-recommends", "/var/cache/package.deb")
    check(root.inside("stat", "-c", "%U %a", "/var/lib/troupe").split() == ["troupe", "750"], "its folder is somebody else's")
    check("/usr/bin/troupe" in root.ours(), "the package brought no program")
    shutil.copy(models / MODEL, f"{root.path}/var/lib/troupe/models")
    root.inside("chown", "troupe:", f"/var/lib/troupe/models/{MODEL}")
    port, began = free_port(), time.monotonic()
    with serving(root, port):
        text = ask(port)
        print(f"  {time.monotonic() - began:.1f} s from its start to an answer: {text!r}", flush=True)
        check("Paris" in text, text)
    root.inside("apt-get", "purge", "-y", "-qq", "troupe")
    check(root.ours() == [], f"left after purge: {root.ours()}")
    check("troupe" not in root.inside("dpkg-query", "-W", "-f", "${Package}\n").split(), "the package is still known")


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--build", default=str(ROOT / "build/release"), help="the build folder that cpack packs")
    flags.add_argument("--models", type=pathlib.Path, default=CACHE / "models", help="folder that holds the default model")
    settings = flags.parse_args()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("skipped: needs root and debootstrap")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder, Root() as root:
        run("cpack", "-G", "DEB", "--config", f"{settings.build}/CPackConfig.cmake", "-B", folder)
        package, = glob.glob(f"{folder}/troupe_*.deb")
        check_package(root, package, settings.models)
    print("clean root: ok")


main()

"""What the tests of deploy/ share."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TROUPE = os.environ.get("TROUPE_BINARY", str(ROOT / "build/release/bin/troupe"))
SKIP = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def need(program):
    if shutil.which(program) is None:
        skip(f"{program} is not installed")


def with_modules(*names):
    """Goes on in the tests' Python environment when this interpreter lacks one of these modules."""
    try:
        for name in names:
            __import__(name)
    except ImportError as error:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        python = os.environ.get("TROUPE_PYTHON", os.path.join(cache, "troupe", "venv", "bin", "python"))
        if os.environ.get("DEPLOY_TEST_AGAIN") or not os.path.exists(python):
            skip(f"{error.name} is not installed")
        os.execve(python, [python, *sys.argv], {**os.environ, "DEPLOY_TEST_AGAIN": "1"})


def run(*command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=110)
    check(done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout


def load_role(role, variables, file=None):
    """What `troupe config print` says of a role started with these variables: unknown names and values out of range are errors."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables}
    if file is not None:
        env["TROUPE_CONFIG"] = str(file)
    return run(TROUPE, "config", "print", "--role", role, env=env)


def metric_names():
    """Every name that the sources declare."""
    import re
    names = set()
    for folder in ("common", "services"):
        for path in (ROOT / folder).rglob("*.cpp"):
            names.update(re.findall(r'"(troupe_[a-z0-9_]+|vllm:[a-z0-9_]+)"', path.read_text()))
    return names

"""The dashboard in a real Chromium, on a cluster of four processes. Needs chromium, chromedriver, and TROUPE_PYTHON (an
interpreter that has selenium). TROUPE_SCREENSHOTS=FOLDER keeps a picture of every page, light, dark and at a phone's width."""
import os
import pathlib
import shutil
import subprocess
import sys

import harness


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    python = os.environ.get("TROUPE_PYTHON", os.path.join(cache, "troupe", "venv", "bin", "python"))
    have = os.path.exists(python) and subprocess.run([python, "-c", "import selenium"], capture_output=True).returncode == 0
    for needed, there in (("selenium in " + python, have), ("chromium", shutil.which("chromium")),
                          ("chromedriver", shutil.which("chromedriver"))):
        if not there:
            print(f"skipped: no {needed}")
            sys.exit(harness.SKIP)
    harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = pathlib.Path(__file__).with_name("page_check.py")
    subprocess.run([python, str(script)], check=True, timeout=280)


main()

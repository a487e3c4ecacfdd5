"""The dashboard in a real Chromium, on a cluster of four processes. Needs chromium, chromedriver, and TROUPE_PYTHON (an
interpreter that has selenium). TROUPE_SCREENSHOTS=FOLDER keeps a picture of every page, light, dark and at a phone's width;
TROUPE_UPDATE_GOLDEN=1 writes the pictures that later runs compare with (page_pictures.py)."""
import pathlib
import subprocess

import harness


def main():
    python = harness.need_interpreter("selenium")
    for program in ("chromium", "chromedriver"):
        harness.need_program(program)
    harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = pathlib.Path(__file__).with_name("page_check.py")
    subprocess.run([python, str(script)], check=True, timeout=560)


main()

"""Files and batches as the openai client uses them, on a gateway that is killed in the middle: every line is answered once.

    batches_test.py [--lines 2000 --kills 5]

Needs TROUPE_PYTHON, an interpreter that has the client.
"""
import pathlib
import subprocess
import sys

import harness


def main():
    python = harness.need_interpreter("openai")
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = pathlib.Path(__file__).with_name("batches_check.py")
    subprocess.run([python, str(script), "--model", model, *sys.argv[1:]], check=True)


main()

"""A server answers what its /openapi.json says, to requests that a program makes up from it (schemathesis), and /docs shows it.

    openapi_test.py [--cases 20000 --jobs 2 --seed 7 --seconds 3600]

Needs TROUPE_PYTHON, an interpreter that has openapi-spec-validator and schemathesis; the page also needs selenium and chromium.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

import harness


def browse(server):
    """The page, where there is a browser."""
    python = harness.interpreter_with("selenium")
    if python and shutil.which("chromium") and shutil.which("chromedriver"):
        script = pathlib.Path(__file__).with_name("docs_page_check.py")
        subprocess.run([python, str(script), f"http://127.0.0.1:{server.port}"], check=True, timeout=120)


def main():
    python = harness.need_interpreter("openapi_spec_validator", "schemathesis")
    maker = harness.TROUPE.parent / "make_shaped_model"
    if not maker.exists():
        harness.skip(f"{maker} is absent")
    work = tempfile.mkdtemp()
    try:
        model = f"{work}/tiny.gguf"
        subprocess.run([maker, "--shape", "tiny-llama", "--type", "q4_1", "--seed", "11", "--out", model], check=True)
        script = pathlib.Path(__file__).with_name("openapi_check.py")
        with harness.serve("--kv-bytes", "64MiB", "--gateway-batch-path", f"{work}/batches", model=model) as server:
            subprocess.run([python, str(script), f"http://127.0.0.1:{server.port}", *sys.argv[1:]], check=True)
            browse(server)
            harness.check(server.get("/healthz")[0] == 200, "the server is gone")
    finally:
        shutil.rmtree(work)


main()

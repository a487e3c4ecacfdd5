"""Answers of a given form from real models by real processes, checked by validators nobody here wrote: openai and jsonschema.

Needs TROUPE_PYTHON, an interpreter that has both. Random texts of every schema's grammar are checked too (grammar_bench).
"""
import pathlib
import subprocess

import harness


def main():
    python = harness.need_interpreter("jsonschema", "openai")
    model = harness.need_model("SmolLM2-135M-Instruct.Q4_1.gguf")
    script = str(pathlib.Path(__file__).with_name("structured_output_check.py"))
    schemas = str(harness.ROOT / "tests/common/grammar/schemas")
    bench = harness.TROUPE.with_name("grammar_bench")
    walks = subprocess.run([str(bench), "--walks", "20", model], check=True, capture_output=True, timeout=120).stdout
    subprocess.run([python, script, "walks", schemas], input=walks, check=True, timeout=120)
    with harness.serve("--kv-bytes", "512MiB", "--speculation-drafter", "auto", model=model) as server:
        subprocess.run([python, script, "server", schemas, f"http://127.0.0.1:{server.port}/v1"], check=True, timeout=240)


main()

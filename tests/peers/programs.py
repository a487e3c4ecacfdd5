"""What compare runs: our engine bench, and the peer's programs with the flags and thread count that are best for it."""

import json
import os
import re
import subprocess
import sys

import quiet

PREFILL, CONTEXT, STEPS = 512, 160, 64
PROMPT = CONTEXT - STEPS // 2  # mean context of the measured steps is CONTEXT


def find_peer(isa=None):
    """The folder of the peer's programs. Ends this program when they are not built or not this host's best."""
    choice = ["--isa", isa] if isa == "avx2" else []
    build = os.path.join(os.path.dirname(os.path.abspath(__file__)), "build")
    done = subprocess.run([build, "--check", *choice], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.strip() or "error: tests/peers/build --check failed")
    return done.stdout.strip().splitlines()[-1]


def ours(troupe, model, threads, isa, streams):
    """{"prefill": tok/s, "decode 1": ..., "decode 32": ...}, shares and the report, and the neighbours' share."""
    command = [troupe, "bench", "engine", "--model", model, "--threads", threads, "--prefill", PREFILL, "--context", CONTEXT,
               "--steps", STEPS, "--streams", ",".join(map(str, streams)), "--repeats", 1, "--noisy", "--json"]
    text, share = quiet.run([str(word) for word in command + (["--isa", isa] if isa else [])])
    report = json.loads(text)
    rows = {("prefill" if row["name"].startswith("prefill") else row["name"]): row for row in report["rows"]}
    return rows, report, share


class Peer:
    """llama.cpp on one file. `flags` holds per row what calibrate() found best: threads and flash attention."""

    def __init__(self, programs, model):
        self.programs, self.model, self.flags = programs, str(model), {}

    def _bench(self, threads, flash, *arguments):
        text, share = quiet.run([os.path.join(self.programs, "llama-bench"), "-m", self.model, "-o", "json", "-t", str(threads),
                                 "-fa", flash, *map(str, arguments)])
        return json.loads(text)[-1]["avg_ts"], share

    def prefill(self, threads, flash):
        return self._bench(threads, flash, "-p", PREFILL, "-n", 0, "-r", 1)

    def decode_one(self, threads, flash, steps=STEPS):
        return self._bench(threads, flash, "-p", 0, "-n", steps, "-d", PROMPT, "-r", 1)

    def decode_many(self, threads, flash, streams, steps=STEPS):
        text, share = quiet.run([os.path.join(self.programs, "llama-batched-bench"), "-m", self.model, "-npp", str(PROMPT),
                                 "-ntg", str(steps), "-npl", str(streams), "-c", str(streams * (PROMPT + steps) + 64),
                                 "-b", "2048", "-ub", "512", "-t", str(threads), "-fa", flash, "--output-format", "jsonl"])
        lines = [line for line in text.splitlines() if re.match(r'\{"n_kv_max"', line.strip())]
        return json.loads(lines[-1])["speed_tg"], share

    def measure(self, row):
        threads, flash = self.flags[row]
        if row == "prefill":
            return self.prefill(threads, flash)
        streams = int(row.split()[1])
        return self.decode_one(threads, flash) if streams == 1 else self.decode_many(threads, flash, streams)

    def calibrate(self, rows, threads):
        """The best of every thread count up to `threads` (1, 2, 4 ...) and of flash attention on and off, row by row."""
        counts = sorted({threads, *(2 ** i for i in range(threads.bit_length()) if 2 ** i <= threads)})
        for row in rows:
            speeds = {}
            for count in counts:
                for flash in ("off", "on"):
                    self.flags[row] = (count, flash)
                    speeds[count, flash] = self.measure(row)[0]
            self.flags[row] = max(speeds, key=speeds.get)

"""Runs a program and says whether the machine was otherwise quiet: the share of CPU time that the hypervisor (steal) and
other programs took meanwhile. A repeat beside a busy neighbour means nothing, on either side of a comparison."""

import os
import resource
import subprocess
import sys

BAR = 0.02
TICK = os.sysconf("SC_CLK_TCK")


def _usage():
    """(all CPU time, busy time, stolen time, time of this process and its finished children), seconds."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) / TICK for word in file.readline().split()[1:9]]
    own = sum(r.ru_utime + r.ru_stime for r in (resource.getrusage(resource.RUSAGE_SELF),
                                                 resource.getrusage(resource.RUSAGE_CHILDREN)))
    total, idle, stolen = sum(ticks), ticks[3] + ticks[4], ticks[7]
    return total, total - idle - stolen, stolen, own


def run(arguments, limit=900):
    """(standard output, neighbours' share). Ends this program, showing what the other one said, when that fails."""
    before = _usage()
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        sys.exit(f"error: {arguments[0]} took over {limit} seconds: {' '.join(map(str, arguments))}")
    except OSError as problem:
        sys.exit(f"error: cannot run {arguments[0]}: {problem}")
    after = _usage()
    if done.returncode != 0:
        sys.stderr.write(done.stderr[-3000:])
        sys.exit(f"error: {' '.join(map(str, arguments))} ended with {done.returncode}")
    total, busy, stolen, own = (b - a for a, b in zip(before, after))
    return done.stdout, min(1.0, (max(0.0, busy - own) + max(0.0, stolen)) / total) if total > 0 else 1.0

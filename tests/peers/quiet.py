"""Runs a program and says whether the machine was otherwise quiet: the share of CPU time that the hypervisor (steal) and
other programs took meanwhile. A repeat beside a busy neighbour means nothing, on either side of a comparison."""

import os
import resource
import subprocess
import sys

BAR = 0.02
TICK = os.sysconf("SC_CLK_TCK")


def _usage(servers):
    """(all CPU time, busy time, stolen time, time of this process, its finished children and `servers`), seconds."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) / TICK for word in file.readline().split()[1:9]]
    own = sum(r.ru_utime + r.ru_stime for r in (resource.getrusage(resource.RUSAGE_SELF),
                                                 resource.getrusage(resource.RUSAGE_CHILDREN)))
    for pid in servers:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            own += sum(int(word) / TICK for word in file.read().rsplit(")", 1)[1].split()[11:13])
    total, idle, stolen = sum(ticks), ticks[3] + ticks[4], ticks[7]
    return total, total - idle - stolen, stolen, own


class Watch:
    """The neighbours' share from its making on. `servers` are pids that live throughout and are no neighbours."""

    def __init__(self, servers=()):
        self.servers = list(servers)
        self.before = _usage(self.servers)

    def share(self):
        total, busy, stolen, own = (b - a for a, b in zip(self.before, _usage(self.servers)))
        return min(1.0, (max(0.0, busy - own) + max(0.0, stolen)) / total) if total > 0 else 1.0


def run(arguments, limit=900, servers=()):
    """(standard output, neighbours' share). Ends this program, showing what the other one said, when that fails."""
    watch = Watch(servers)
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        sys.exit(f"error: {arguments[0]} took over {limit} seconds: {' '.join(map(str, arguments))}")
    except OSError as problem:
        sys.exit(f"error: cannot run {arguments[0]}: {problem}")
    share = watch.share()
    if done.returncode != 0:
        sys.stderr.write(done.stderr[-3000:])
        sys.exit(f"error: {' '.join(map(str, arguments))} ended with {done.returncode}")
    return done.stdout, share

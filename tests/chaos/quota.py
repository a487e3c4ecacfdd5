"""A share of the CPU for a process, by a cgroup (version 1 or 2) of its own. Needs root."""
import contextlib
import os
import pathlib
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
PERIOD_US = 4_000  # short against a request, so that an idle worker is no faster than a busy one: it saves up nothing to spend at once


def home():
    """Where a group that limits the CPU can be made; None where that is not allowed."""
    for folder in (ROOT / "cpu", ROOT):
        if (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK):
            if folder == ROOT and "cpu" not in (folder / "cgroup.subtree_control").read_text().split():
                with contextlib.suppress(OSError):
                    (folder / "cgroup.subtree_control").write_text("+cpu")
            return folder
    return None


class Quota:
    """`cores` of CPU time for all processes put into it. Use with `with`, around the processes' lives."""

    def __init__(self, name, cores):
        self.folder = home() / f"troupe-{os.getpid()}-{name}"
        self.cores = cores

    def __enter__(self):
        self.folder.mkdir()
        quota = str(int(self.cores * PERIOD_US))
        # The least weight: those outside, who place and pass on and measure, do not wait for those inside.
        if (self.folder / "cpu.max").exists():
            (self.folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
            (self.folder / "cpu.weight").write_text("1")
        else:
            (self.folder / "cpu.shares").write_text("2")
            (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self.folder / "cpu.cfs_quota_us").write_text(quota)
        return self

    def take(self, pid):
        (self.folder / "cgroup.procs").write_text(str(pid))

    def __exit__(self, *_):
        for _ in range(100):
            try:
                self.folder.rmdir()
                return
            except OSError:  # its last process is not buried yet
                time.sleep(0.05)
        raise AssertionError(f"{self.folder} still has processes")

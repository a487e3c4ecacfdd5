"""A file system of a few megabytes that a test fills up and frees: a tmpfs of its own. Needs root."""
import contextlib
import os
import pathlib
import subprocess


class SmallDisk:
    """Made at `folder`, which must exist; gone after stop()."""

    def __init__(self, folder, megabytes):
        self.folder = pathlib.Path(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True, capture_output=True)

    def fill(self):
        """Until nothing more fits."""
        with open(self.folder / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 16)):  # the last one in part
                pass

    def free(self):
        (self.folder / "filler").unlink(missing_ok=True)

    def full(self):
        return os.statvfs(self.folder).f_bavail == 0

    def stop(self):
        subprocess.run(["umount", self.folder], check=True)


def small_disk(folder, megabytes):
    """None where none can be mounted."""
    try:
        return SmallDisk(folder, megabytes)
    except (OSError, subprocess.CalledProcessError):
        return None

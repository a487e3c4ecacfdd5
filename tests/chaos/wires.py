"""A network of the test's own: each process in a network namespace with one cable (veth pair) into a hub that passes packets on.
What passes, how fast and how surely is the hub's to decide, so packets vanish between two processes as they do on a bad network:
no connection ends, nobody is told. Needs root, iproute2 and iptables. Use with `with`; nothing of it is left afterwards.

The hub is a namespace that routes and does not bridge: its rules see every packet between two processes without a kernel module
for bridged packets, whatever the machine's own firewall does with forwarded ones, and one `iptables-restore` changes all at once."""
import contextlib
import os
import random
import re
import shutil
import subprocess
import time

RATE, BURST = "1mbit", "32kb"


def command(*words, text=None):
    done = subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def sweep():
    """Removes what runs that were killed left behind."""
    for line in command("ip", "netns", "list").splitlines():
        found = re.match(r"troupe-(\d+)-", line)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            command("ip", "netns", "del", line.split()[0])


class Wires:
    """Processes' places: `add` gives each an address, `inside` the words before a command that make it run there."""

    def __init__(self):
        self.places = {}  # name: number
        self.ends = {}    # number: what its place calls its cable
        self.drops = []   # rules in force
        self.dropped = self.squeezed = 0
        self.touched = set()  # names whose cable a fault changed

    def __enter__(self):
        sweep()
        taken = command("ip", "-4", "route")
        self.net = next(n for n in random.sample(range(128, 250), 100) if f"10.{n}." not in taken)
        command("ip", "netns", "add", self.place("hub"))
        try:
            self.in_hub("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
            self.in_hub("ip", "link", "set", "lo", "up")
            self.cable(0, None)
            command("ip", "route", "add", f"10.{self.net}.0.0/16", "via", f"10.{self.net}.0.1")
            self.qdiscs = {kind for kind in ("tbf", "netem") if self.has(kind)}
            self.rules(["-A FORWARD -s 192.0.2.1 -m statistic --mode random --probability 0.5 -j DROP"])
            self.rules([])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in ["hub", *self.places]:  # their cables end with them
            with contextlib.suppress(OSError):
                command("ip", "netns", "del", self.place(name))

    @staticmethod
    def place(name):
        return f"troupe-{os.getpid()}-{name}"

    def in_hub(self, *words, text=None):
        return command("ip", "netns", "exec", self.place("hub"), *words, text=text)

    def cable(self, number, place):
        """Between the hub and a namespace, or this machine."""
        near, net = f"hub{number}", f"10.{self.net}.{number}"
        for attempt in range(5):  # the kernel was seen to say "File exists" of names that are nobody's
            far = self.ends[number] = f"tr{random.getrandbits(32):08x}x{number}"
            try:
                command("ip", "link", "add", far, "type", "veth", "peer", "name", near, "netns", self.place("hub"))
                break
            except OSError:
                if attempt == 4:
                    raise
                time.sleep(0.2)
        self.in_hub("ip", "addr", "add", f"{net}.1/24", "dev", near)
        self.in_hub("ip", "link", "set", near, "up")
        there = []
        if place is not None:
            command("ip", "link", "set", far, "netns", place)
            there = ["ip", "netns", "exec", place]
        command(*there, "ip", "addr", "add", f"{net}.2/24", "dev", far)
        command(*there, "ip", "link", "set", far, "up")
        if place is not None:
            command(*there, "ip", "link", "set", "lo", "up")
            command(*there, "ip", "route", "add", "default", "via", f"{net}.1")

    def has(self, qdisc):
        """Whether this kernel has it."""
        more = {"tbf": ["rate", RATE, "burst", BURST, "latency", "1s"], "netem": ["delay", "1ms"]}[qdisc]
        try:
            self.in_hub("tc", "qdisc", "add", "dev", "lo", "root", qdisc, *more)
        except OSError:
            return False
        self.in_hub("tc", "qdisc", "del", "dev", "lo", "root")
        return True

    def add(self, name):
        """The address of a new place."""
        number = self.places[name] = len(self.places) + 1
        command("ip", "netns", "add", self.place(name))
        self.cable(number, self.place(name))
        return self.address(name)

    def address(self, name):
        return f"10.{self.net}.{self.places[name]}.2"

    def inside(self, name):
        return ["ip", "netns", "exec", self.place(name)]

    # ---- faults, until heal() ----

    def rules(self, rules):
        self.in_hub("iptables-restore", text="\n".join(["*filter", ":FORWARD ACCEPT", *rules, "COMMIT", ""]))

    def drop(self, pairs, share=1.0):
        """Packets from the first to the second of each pair vanish, or a share of them, by chance."""
        chance = "" if share == 1.0 else f" -m statistic --mode random --probability {share}"
        self.drops += [f"-A FORWARD -s {self.address(a)} -d {self.address(b)}{chance} -j DROP" for a, b in pairs]
        self.rules(self.drops)

    def unplug(self, name):
        self.touched.add(name)
        self.in_hub("ip", "link", "set", f"hub{self.places[name]}", "down")

    def shape(self, name, qdisc, *more):
        """What goes to it, and what it sends to others, queues: see tc-tbf and tc-netem."""
        number = self.places[name]
        self.touched.add(name)
        self.in_hub("tc", "qdisc", "add", "dev", f"hub{number}", "root", qdisc, *more)
        command(*self.inside(name), "tc", "qdisc", "add", "dev", self.ends[number], "root", qdisc, *more)

    def heal(self):
        if self.drops:
            counted = re.findall(r"^\[(\d+):\d+\] -A FORWARD", self.in_hub("iptables-save", "-c"), re.M)
            self.dropped += sum(map(int, counted))
            self.drops = []
            self.rules([])
        for name in self.touched:
            number = self.places[name]
            shown = self.in_hub("tc", "-s", "qdisc", "show", "dev", f"hub{number}")
            self.squeezed += sum(map(int, re.findall(r"overlimits (\d+)", shown)))
            with contextlib.suppress(OSError):  # it had none
                self.in_hub("tc", "qdisc", "del", "dev", f"hub{number}", "root")
                command(*self.inside(name), "tc", "qdisc", "del", "dev", self.ends[number], "root")
            self.in_hub("ip", "link", "set", f"hub{number}", "up")
        self.touched = set()

    def counts(self):
        return {"packets_dropped": self.dropped, "packets_over_the_rate": self.squeezed}


def obstacle():
    """Why there can be no Wires here; None: there can."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in ("ip", "tc", "sysctl", "iptables-restore") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    try:
        with Wires() as wires:
            return None if "tbf" in wires.qdiscs else "the kernel has no tbf"
    except OSError as error:
        return str(error)

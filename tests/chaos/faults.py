"""What strikes a cluster: the seeded list of events, and how each is done.

Processes (either network): `kill` (SIGKILL), `freeze` (SIGSTOP for longer than its peers wait), `pause` (for a moment), `roll`
(SIGTERM and a new start, as an operator does), `fill` (the workers' disk is full for a while).
By the proxy, to messages (proxy.py): `part` (a process's links carry nothing), `cut` (its connections end), `damage`, `repeat`,
`delay`, `lose`.
In network namespaces, to packets (wires.py): `silence` (nothing to or from a process), `deaf` (nothing to it), `mute` (nothing
from it), `apart` (it and one other do not hear each other), `unplug` (its link is down), `slow` (a narrow link), `loss` (a share
of the packets to and from it), `reorder` (where the kernel has netem)."""
import random
import signal
import time

from harness import check, eventually

FREEZE_LONG, FREEZE_SHORT = 3.0, 0.3
BY_PROXY = [("kill", "decode"), ("kill", "prefill"), ("part", "decode"), ("damage", "control"), ("kill", "decode"),
            ("freeze", "decode"), ("kill", "router"), ("damage", "data"), ("pause", "decode"), ("kill", "decode"),
            ("repeat", "control"), ("freeze", "prefill"), ("cut", "decode"), ("pause", "router"), ("repeat", "data"),
            ("kill", "decode"), ("part", "prefill"), ("delay", "control"), ("cut", "router"), ("kill", "prefill"),
            ("freeze", "router"), ("roll", "decode"), ("roll", "prefill"), ("roll", "router"), ("roll", "gateway"),
            ("kill", "gateway"), ("kill", "redis"), ("freeze", "gateway"), ("freeze", "redis"), ("lose", "control"),
            ("fill", "decode"), ("lose", "data")]
BY_PACKETS = [("silence", "decode"), ("kill", "decode"), ("deaf", "decode"), ("slow", "prefill"), ("mute", "decode"),
              ("apart", "decode"), ("unplug", "decode"), ("freeze", "decode"), ("loss", "gateway"), ("silence", "prefill"),
              ("kill", "prefill"), ("slow", "decode"), ("fill", "decode"), ("silence", "router"), ("loss", "decode"),
              ("roll", "decode"), ("apart", "prefill"), ("mute", "router"), ("kill", "gateway"), ("silence", "redis"),
              ("deaf", "gateway"), ("reorder", "decode"), ("kill", "router"), ("apart", "gateway"), ("slow", "gateway"),
              ("deaf", "prefill"), ("unplug", "gateway"), ("loss", "prefill")]
MESSAGES = {"part": ("hold", 1.0, FREEZE_LONG), "cut": ("cut", 1.0, 0.0), "damage": ("damage", 0.02, 1.0),
            "repeat": ("repeat", 0.2, 1.0), "delay": ("delay", 0.3, 1.0), "lose": ("lose", 0.02, 1.0)}
PACKETS = {"silence": FREEZE_LONG, "deaf": FREEZE_LONG, "mute": FREEZE_LONG, "apart": FREEZE_LONG, "unplug": FREEZE_LONG,
           "slow": 2.0, "loss": 2.0, "reorder": 2.0}
LOSS_SHARE = 0.1


def plan(seed, count, packets=False):
    """The events, by number: (what, role, which)."""
    kinds = BY_PACKETS if packets else BY_PROXY
    return [(*kinds[i % len(kinds)], random.Random(f"{seed} event {i}").random()) for i in range(count)]


def strike(cluster, event):
    """Does it and undoes it. Returns whom it met; None: it cannot be done here."""
    what, role, which = event
    if what in MESSAGES:
        return disturb_messages(cluster, event)
    members = cluster.of(role)
    victim = members[int(which * len(members))]
    if what == "fill":
        return fill_disk(cluster, victim)
    if what in PACKETS:
        return disturb_packets(cluster, what, victim.name, which)
    if what == "roll":
        victim.stop()
        victim.start()
    elif what == "kill":
        victim.kill()
        time.sleep(0.2)
        victim.start()
    else:
        victim.signal(signal.SIGSTOP)
        time.sleep(FREEZE_LONG if what == "freeze" else FREEZE_SHORT)
        victim.signal(signal.SIGCONT)
    return victim.name


def disturb_messages(cluster, event):
    """A fault of the proxy for a while: of one process's links, or of all links of a plane."""
    what, where, which = event
    fault, share, seconds = MESSAGES[what]
    net = cluster.network
    if where in ("control", "data"):
        links = [name for name in net.links if name.endswith("data") == (where == "data")]
    elif where == "router":
        links = [name for name in net.links if name.split()[1].startswith("router")]
    else:
        members = cluster.of(where)
        where = members[int(which * len(members))].name
        links = net.of(where, "router", "control", "data")
    net.fault(fault, links, share)
    time.sleep(seconds)
    net.heal()
    return where


def disturb_packets(cluster, what, victim, which):
    """A fault of the network below one process, or between two."""
    wires = cluster.wires
    others = [name for name in cluster.processes if name != victim]
    to, back = [(other, victim) for other in others], [(victim, other) for other in others]
    if what == "apart":
        peers = [name for name in others if name.split("-")[0] != victim.split("-")[0] and name != "redis"]
        other = peers[int(which * 7919) % len(peers)]
        wires.drop([(victim, other), (other, victim)])
        victim = f"{victim} and {other}"
    elif what == "unplug":
        wires.unplug(victim)
    elif what == "slow":
        wires.shape(victim, "tbf", "rate", "1mbit", "burst", "32kb", "latency", "200ms")
    elif what == "reorder":
        if "netem" not in wires.qdiscs:
            return None
        wires.shape(victim, "netem", "delay", "10ms", "reorder", "75%", "50%")
    else:
        wires.drop({"silence": to + back, "deaf": to, "mute": back, "loss": to + back}[what], LOSS_SHARE if what == "loss" else 1.0)
    time.sleep(PACKETS[what])
    wires.heal()
    return victim


def fill_disk(cluster, victim):
    """Full until a worker's write has failed, while one of its users is killed and starts over the files that are there; then
    freed, and every worker writes again."""
    disk = cluster.disk
    if disk is None:
        return None
    workers = cluster.of("decode") + cluster.of("prefill")

    def paused():
        return sum(worker.metric("troupe_kv_disk_paused_tiers") for worker in workers if worker is not victim)

    disk.fill()
    victim.kill()
    victim.start()
    began = time.monotonic()
    while time.monotonic() < began + FREEZE_LONG or not paused():
        check(time.monotonic() < began + 60, "no worker notices that its disk is full")
        disk.fill()  # also of what its users remove meanwhile
        time.sleep(0.05)
    disk.free()
    eventually(lambda: paused() == 0, "the workers write to their disk again", 60)
    return victim.name

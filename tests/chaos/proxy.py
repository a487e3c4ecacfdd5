"""Bad networks for tests: TCP links between processes that hold, delay, cut, damage, repeat or lose what passes.

Runs as a process of its own (`proxy.py`), commanded by JSON lines on standard input, one answer line each:
  {"link": NAME, "to": PORT, "kind": "control" | "data"}    -> {"port": P}: whoever dials P reaches PORT over this link
  {"fault": KIND, "links": [NAME...], "share": 0..1}        -> {}: until the next fault or "heal" for these links
  {"heal": [NAME...]}                                       -> {}
  {"counts": true}                                          -> {"damaged": n, "repeated": n, "lost": n, "delayed": n, "held": n}
Faults by message: `damage` (one byte of its body flipped), `repeat` (sent twice), `lose`, `delay` (by 0 to 50 ms, in order).
Faults of the whole link: `hold` (a partition: connections stay, nothing passes, new ones are taken and stay mute), `cut`
(connections end; new ones work).

What a message is: on a control link CAF's BASP frames (32 bytes of header, payload length at 4, big-endian; only direct and
routed messages are touched, not the handshakes), on a data link ZMTP 3 messages (frames up to the last without MORE, after the
64 bytes of greeting; commands are not touched)."""
import asyncio
import json
import os
import random
import struct
import sys

GREETING = 64
DIRECT, ROUTED = 2, 3


async def control_messages(reader):
    """(bytes, where its body begins, may be touched) of each BASP frame."""
    while True:
        header = await reader.readexactly(32)
        (size,) = struct.unpack_from(">I", header, 4)
        payload = await reader.readexactly(size) if size else b""
        yield header + payload, 32, header[0] in (DIRECT, ROUTED) and size > 0


async def data_messages(reader):
    """The same of each ZMTP message."""
    left = GREETING  # each side waits for parts of the other's
    while left:
        piece = await reader.read(left)
        if not piece:
            return
        left -= len(piece)
        yield piece, 0, False
    while True:
        whole, body, command, more = b"", 0, False, True
        while more:
            flags = await reader.readexactly(1)
            wide = flags[0] & 2
            size_bytes = await reader.readexactly(8 if wide else 1)
            size = int.from_bytes(size_bytes, "big")
            whole += flags + size_bytes
            body = len(whole)  # of the last frame
            whole += await reader.readexactly(size)
            command, more = bool(flags[0] & 4), bool(flags[0] & 1)
        yield whole, body, not command and len(whole) > body


class Link:
    """One way into one process."""

    def __init__(self, proxy, target, kind):
        self.proxy, self.target = proxy, target
        self.messages = control_messages if kind == "control" else data_messages
        self.fault, self.share = None, 1.0
        self.passing = asyncio.Event()
        self.passing.set()
        self.writers = set()

    def set(self, fault, share=1.0):
        self.fault, self.share = fault, share
        if fault == "hold":
            self.passing.clear()
        else:
            self.passing.set()
        if fault == "cut":
            for writer in list(self.writers):
                writer.transport.abort()
            self.fault = None

    async def serve(self, reader, writer):
        self.writers.add(writer)
        onward = None
        try:
            await self.passing.wait()
            back, onward = await asyncio.open_connection("127.0.0.1", self.target)
            self.writers.add(onward)
            ways = [asyncio.ensure_future(self.carry(reader, onward)), asyncio.ensure_future(self.carry(back, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, onward):
                if end is not None:
                    self.writers.discard(end)
                    end.transport.abort()

    async def carry(self, reader, writer):
        try:
            async for message, body, touchable in self.messages(reader):
                if not self.passing.is_set():
                    self.proxy.counts["held"] += 1
                    await self.passing.wait()
                for copy in await self.suffer(message, body, touchable):
                    writer.write(copy)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass

    async def suffer(self, message, body, touchable):
        """What becomes of one message."""
        rng, counts = self.proxy.rng, self.proxy.counts
        if self.fault is None or not touchable or rng.random() >= self.share:
            return [message]
        if self.fault == "damage":
            counts["damaged"] += 1
            at = rng.randrange(body, len(message))
            return [message[:at] + bytes([message[at] ^ (1 << rng.randrange(8))]) + message[at + 1:]]
        if self.fault == "repeat":
            counts["repeated"] += 1
            return [message, message]
        if self.fault == "lose":
            counts["lost"] += 1
            return []
        counts["delayed"] += 1
        await asyncio.sleep(rng.random() * 0.05)
        return [message]


class Proxy:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.links = {}
        self.counts = dict.fromkeys(("damaged", "repeated", "lost", "delayed", "held"), 0)

    async def command(self, order):
        if "link" in order:
            link = self.links[order["link"]] = Link(self, order["to"], order["kind"])
            server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
            return {"port": server.sockets[0].getsockname()[1]}
        if "fault" in order:
            for name in order["links"]:
                self.links[name].set(order["fault"], order.get("share", 1.0))
        for name in order.get("heal", []):
            self.links[name].set(None)
        return dict(self.counts) if "counts" in order else {}

    async def run(self):
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            print(json.dumps(await self.command(json.loads(line))), flush=True)
        os._exit(0)  # connections under way end with it


if __name__ == "__main__":
    asyncio.run(Proxy(sys.argv[1] if len(sys.argv) > 1 else "0").run())

#!/usr/bin/python3
"""Kills a server under load at random moments, again and again, and accounts for every acknowledged message.

Load: senders keep connections and send small messages, half to a local mailbox, half through us to a sink that notes every
arrival. A message counts as acknowledged when its 250 was read. At the end, after the queue has drained:
  lost        acknowledged, but never arrived                       -> must be 0
  duplicates  arrived more than once: allowed only where a kill came between the receiver's answer and our note of it;
              each is explained by a kill within a short time of its first copy (before it too: a sink that is behind
              still finds in its socket what a server sent that has been killed since)
Example:  tests/crash/crash.py --rounds 100 --seed 42
"""
import argparse
import asyncio
import collections
import os
import pathlib
import random
import re
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from conftest import Postrider, free_port, wait_until  # noqa: E402

TOKEN = re.compile(rb"^X-Token: (\S+)\r?$", re.MULTILINE)
EXPLAINED_WITHIN_S = 2.0


class Sink:
    """An SMTP server that takes everything and notes token and time of each message, with PIPELINING."""

    def __init__(self):
        self.port = free_port()
        self.arrivals = collections.defaultdict(list)
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        started.wait(10)

    def _run(self, started):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 22))
        started.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            writer.write(b"220 sink.example.test ESMTP\r\n")
            while True:
                line = await reader.readline()
                if not line:
                    break
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-sink.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    self.arrivals[TOKEN.search(content).group(1)].append(time.monotonic())
                    writer.write(b"250 2.0.0 taken\r\n")
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 2.0.0 ok\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Load:
    """Senders in one asyncio thread; `pace` messages a second in all."""

    def __init__(self, port, senders, pace):
        self.port, self.pace, self.senders = port, pace, senders
        self.acknowledged = {}
        self.sent = 0
        self.running = True
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()

    def stop(self):
        self.running = False
        self.thread.join(30)

    async def _run(self):
        await asyncio.gather(*(self._sender(i) for i in range(self.senders)))

    async def _sender(self, number):
        count = 0
        while self.running:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                await self._reply(reader)
                await self._ask(reader, writer, b"EHLO client.example.test\r\n")
                while self.running:
                    count += 1
                    await self._message(reader, writer, f"{number}-{count}-{random.getrandbits(32):08x}")
                    await asyncio.sleep(self.senders / self.pace)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(0.01)
            finally:
                writer.close()

    async def _message(self, reader, writer, token):
        self.sent += 1
        local = self.sent % 2 == 0
        to = "ann@example.test" if local else "bob@outside.test"
        for line in (f"MAIL FROM:<me@client.example.test>\r\n", f"RCPT TO:<{to}>\r\n", "DATA\r\n"):
            await self._ask(reader, writer, line.encode())
        body = f"Subject: crash\r\nX-Token: {token}\r\n\r\n" + "line of text\r\n" * random.choice((1, 20, 400)) + ".\r\n"
        await self._ask(reader, writer, body.encode())
        self.acknowledged[token.encode()] = "mailbox" if local else "sink"

    async def _ask(self, reader, writer, octets):
        writer.write(octets)
        await self._reply(reader)

    @staticmethod
    async def _reply(reader):
        while True:
            line = await asyncio.wait_for(reader.readline(), 20)
            if not line.endswith(b"\n") or line[:1] not in b"23":
                raise ValueError(line)
            if line[3:4] == b" ":
                return


def mailbox_arrivals(server):
    arrivals = collections.defaultdict(list)
    for part in ("new", "cur"):
        folder = server.mailbox("ann@example.test") / part
        for file in folder.iterdir() if folder.is_dir() else ():
            arrivals[TOKEN.search(file.read_bytes()).group(1)].append(file.stat().st_mtime)
    return arrivals


def kill_one(server, role):
    pid = server.children().get(role)
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def rounds(server, count, random_, kills):
    for number in range(count):
        time.sleep(random_.uniform(0.05, 0.6))
        what = random_.choice(("mta", "mta", "everything", "everything", "mailbox", "keyring"))
        kills.append((time.monotonic(), time.time(), what))
        if what == "everything":
            server.kill()
            server.start()
        else:
            kill_one(server, what)
            kills.append((time.monotonic(), time.time(), what))
        if (number + 1) % 10 == 0:
            print(f"  {number + 1} kills", flush=True)


def judge(load, sink, server, kills):
    arrivals = {"sink": sink.arrivals, "mailbox": mailbox_arrivals(server)}
    lost = [t for t, where in load.acknowledged.items() if not arrivals[where].get(t)]
    duplicates = {where: [t for t, times in arrivals[where].items() if len(times) > 1] for where in arrivals}
    unexplained = []
    for where, clock in (("sink", 0), ("mailbox", 1)):
        for token in duplicates[where]:
            first = min(arrivals[where][token])
            nearest = min((kill[clock] - first for kill in kills), key=abs)
            if abs(nearest) > EXPLAINED_WITHIN_S:
                times = [f"{t - first:+.3f}" for t in arrivals[where][token]]
                unexplained.append(f"{where} {token.decode()}: copies at {times} s, nearest kill {nearest:+.3f} s")
    return lost, duplicates, unexplained


def run(round_count, seed, senders=20, pace=1500, folder=None, arguments=()):
    """Returns (acknowledged, lost, duplicates, unexplained duplicates)."""
    random_ = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        sink = Sink()
        server = Postrider(pathlib.Path(temporary) / "server", "--domain", "example.test", "--user",
                           "ann@example.test:secret", "--relay-from", "127.0.0.0/8", "--relay-to",
                           f"127.0.0.1:{sink.port}", "--retry-min", "200ms", "--retry-max", "1s", *arguments)
        server.start()
        load = Load(server.mx, senders, pace)
        kills = []
        try:
            rounds(server, round_count, random_, kills)
            time.sleep(0.5)
            load.stop()
            wait_until(lambda: server.queue("--limit", "1") == [], 120, "the queue drains")
            result = judge(load, sink, server, kills)
        finally:
            load.running = False
            server.kill()
        return (len(load.acknowledged), *result)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--loops", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{arguments.rounds} kills, seed {arguments.seed}")
    acknowledged, lost, duplicates, unexplained = run(arguments.rounds, arguments.seed,
                                                      arguments=("--loops", str(arguments.loops)))
    print(f"{acknowledged} acknowledged, {len(lost)} lost, duplicates: {len(duplicates['sink'])} at the sink, "
          f"{len(duplicates['mailbox'])} in the mailbox, {len(unexplained)} of them not explained by a kill")
    for token in lost[:20]:
        print("lost:", token.decode())
    for duplicate in unexplained[:20]:
        print("not explained:", duplicate)
    return 1 if lost or unexplained or not acknowledged else 0


if __name__ == "__main__":
    sys.exit(main())

"""Fixtures shared by all tests that drive the built binary.

`postrider` (a factory) starts `postrider local` in a folder of its own on free loopback ports and ends it. The binary is
build/postrider, or what POSTRIDER names (a sanitizer build).
"""
import json
import os
import pathlib
import queue
import random
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("POSTRIDER", ROOT / "build" / "postrider"))


def free_port(host="127.0.0.1"):
    """Below the range that the kernel takes for outgoing connections: nobody gets it by chance before it is used."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
                return port
            except OSError:
                continue


def wait_until(condition, timeout=15, what="condition"):
    """Returns the first true value of condition(); fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Postrider:
    """One running server. Options of `local` are passed as a list; ports are chosen here unless given."""

    def __init__(self, folder, *arguments, submission=False, smtps=False, hostname="mx.example.test", env=None):
        self.dir = pathlib.Path(folder)
        self.mx = free_port()
        self.submission = free_port() if submission else None
        self.smtps = free_port() if smtps else None
        self.hostname = hostname
        self.arguments = list(arguments)
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.stderr = ""
        self._stderr_lock = threading.Lock()

    def command(self):
        command = [str(BINARY), "local", "--dir", str(self.dir), "--hostname", self.hostname,
                   "--mx", f"127.0.0.1:{self.mx}"]
        if self.submission:
            command += ["--submission", f"127.0.0.1:{self.submission}"]
        if self.smtps:
            command += ["--smtps", f"127.0.0.1:{self.smtps}"]
        return command + self.arguments

    def start(self, timeout=30):
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=self.env, start_new_session=True)
        threading.Thread(target=self._drain, args=(self.process.stderr,), daemon=True).start()
        lines = queue.Queue()
        threading.Thread(target=self._lines, args=(self.process.stdout, lines), daemon=True).start()
        try:
            line = lines.get(timeout=timeout)
        except queue.Empty:
            line = None
        if line != "ready\n":
            self.kill()
            time.sleep(0.1)
            raise RuntimeError(f"no ready line but {line!r}; stderr:\n{self.stderr}")
        return self

    @staticmethod
    def _lines(stream, lines):
        for line in stream:
            lines.put(line)
        lines.put("")

    def _drain(self, stream):
        for line in stream:
            with self._stderr_lock:
                self.stderr += line

    def children(self):
        """Process ids of our children by role."""
        found = {}
        for pid in subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) > 2 and words[1] == b"--process":
                found[words[2].decode()] = int(pid)
        return found

    def stop(self, timeout=30):
        """SIGTERM; returns the exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout=30):
        code = self.process.wait(timeout)
        self.process.stdout.close()
        return code

    def kill(self):
        """kill -9 of every process of this server."""
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(10)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    # -- talking to it

    def smtp(self, port=None, **kwargs):
        return smtplib.SMTP("127.0.0.1", port or self.mx, local_hostname="client.example.test", timeout=20, **kwargs)

    def send(self, sender, recipients, content="Subject: test\r\n\r\nHello.\r\n", port=None, login=None, options=()):
        """One message through smtplib; returns what smtplib says of refused recipients."""
        if isinstance(recipients, str):
            recipients = [recipients]
        with self.smtp(port or (self.submission if login else None)) as client:
            if login:
                client.starttls(context=unverified())
                client.login(*login)
            return client.sendmail(sender, recipients, content, mail_options=options)

    def raw(self, port=None):
        """A plain connection for bytes of one's own making."""
        s = socket.create_connection(("127.0.0.1", port or self.mx), timeout=20)
        return s

    def ctl(self, *arguments, input=None, check=True):
        """`postrider COMMAND --dir DIR ...`; returns the finished process."""
        command = [str(BINARY), *arguments, "--dir", str(self.dir)]
        done = subprocess.run(command, capture_output=True, text=True, input=input, timeout=60, env=self.env)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def queue(self, *filters):
        done = self.ctl("queue", "list", "--json", *filters, check=False)
        assert done.returncode in (0, 1), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    # -- what it did

    def mailbox(self, address):
        local_part, domain = address.rsplit("@", 1)
        return self.dir / "mail" / domain / local_part

    def mails(self, address):
        """Contents of the messages in a mailbox, oldest first."""
        folder = self.mailbox(address) / "new"
        if not folder.is_dir():
            return []
        return [f.read_bytes() for f in sorted(folder.iterdir(), key=lambda f: f.stat().st_mtime_ns)]

    def captured(self):
        return self.mails("outside@captured")

    def wait_mails(self, address, count=1, timeout=15):
        wait_until(lambda: len(self.mails(address)) >= count, timeout, f"{count} messages in {address}")
        return self.mails(address)

    def events(self, kind=None):
        """Events of all processes so far (written every 200 ms), as dicts, in the order of the files."""
        found = []
        for path in sorted((self.dir / "log").rglob("events-*.jsonl*")):
            for line in path.read_text(errors="replace").splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # the last line may be half written
                if kind is None or event.get("event") == kind:
                    found.append(event)
        return found

    def wait_event(self, kind, timeout=15, **fields):
        def matching():
            return [e for e in self.events(kind) if all(e.get(k) == v for k, v in fields.items())]
        return wait_until(matching, timeout, f"event {kind} {fields}")[0]


@pytest.fixture
def postrider(tmp_path):
    """A factory: postrider("--domain", "example.test", submission=True) -> running Postrider."""
    running = []

    def start(*arguments, folder=None, **kwargs):
        server = Postrider(folder or tmp_path / f"server{len(running)}", *arguments, **kwargs)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        if server.process and server.process.poll() is None:
            try:
                server.stop()
            except subprocess.TimeoutExpired:
                server.kill()
                raise
        for word in ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error:", "ERROR: LeakSanitizer"):
            assert word not in server.stderr, server.stderr

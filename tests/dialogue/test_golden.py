"""Plays golden/*.smtp against the built binary. README.md explains the format."""
import ast
import base64
import pathlib
import re
import socket
import time

import pytest

from conftest import unverified

FOLDER = pathlib.Path(__file__).parent / "golden"
USUAL = ["--domain", "example.test", "--user", "ann@example.test:secret", "--user", "bob@example.test:hidden",
         "--alias", "friends@example.test=ann@example.test,carl@outside.test"]


def is_quiet(s):
    """Nothing to read for half a second (session tickets of TLS are no words)."""
    s.settimeout(0.5)
    try:
        s.recv(1)
        return False
    except TimeoutError:
        return True
    finally:
        s.settimeout(20)


class Player:
    """One client of one server."""

    def __init__(self, server, listener, path):
        self.server, self.path = server, path
        self.socket = socket.create_connection(("127.0.0.1", getattr(server, listener)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = b""
        self.to_send = b""

    def flush(self):
        if self.to_send:
            self.socket.sendall(self.to_send)
            self.to_send = b""

    def secure(self):
        self.flush()
        assert not self.heard, f"{self.path.name}: the server spoke on before TLS: {self.heard!r}"
        self.socket = unverified().wrap_socket(self.socket, server_hostname="mx.example.test")

    def receive(self):
        """More octets; False at the end."""
        try:
            octets = self.socket.recv(65536)
        except ConnectionResetError:
            octets = b""
        self.heard += octets
        return bool(octets)

    def line(self):
        self.flush()
        while b"\r\n" not in self.heard:
            if not self.receive():
                return None
        line, self.heard = self.heard.split(b"\r\n", 1)
        return line.decode("utf-8", "replace")

    def expect(self, wanted, where):
        got = self.line()
        pattern = re.escape(wanted.removesuffix("...")).replace("<id>", "[0-9a-f]{16}")
        pattern += ".*" if wanted.endswith("...") else ""
        assert got is not None and re.fullmatch(pattern, got), f"{where}\nwanted {wanted}\ngot    {got}"

    def expect_quiet(self, where):
        self.flush()
        assert is_quiet(self.socket) and not self.heard, f"{where}: the server speaks: {self.heard!r}"

    def expect_end(self, where):
        self.flush()
        while self.receive():
            pass
        assert not self.heard, f"{where}: before the end came {self.heard!r}"

    def expect_mails(self, address, count, where):
        end = time.monotonic() + 15
        while (found := len(self.server.mails(address))) != count and time.monotonic() < end:
            time.sleep(0.05)
        assert found == count, f"{where}: {found} messages in {address}"


def play(player, line, where):
    word, _, rest = line.partition(" ")
    if word == "C:":
        player.to_send += rest.encode() + b"\r\n"
    elif word == "C64:":
        player.to_send += base64.b64encode(rest.replace("|", "\0").encode()) + b"\r\n"
    elif word == "X:":
        player.to_send += ast.literal_eval("b" + rest)
    elif word == "S:":
        player.expect(rest, where)
    elif word == "TLS":
        player.secure()
    elif word == "QUIET":
        player.expect_quiet(where)
    elif word == "C-END":
        player.flush()
        player.socket.shutdown(socket.SHUT_WR)
    elif word == "S-END":
        player.expect_end(where)
    elif word == "M:":
        player.flush()
        address, count = rest.split()
        player.expect_mails(address, int(count), where)
    else:
        raise ValueError(f"{where}: {line}")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.smtp")), ids=lambda path: path.stem)
def test_golden(postrider, path):
    lines = [(number, line) for number, line in enumerate(path.read_text().splitlines(), 1)
             if line.strip() and not line.startswith("#")]
    options = [word for _, line in lines if line.startswith("@options ") for word in line.split()[1:]]
    listener = next(line.split()[1] for _, line in lines if line.startswith("@listener "))
    server = postrider(*USUAL, *options, submission=listener == "submission", smtps=listener == "smtps")
    player = Player(server, listener, path)
    for number, line in lines:
        if not line.startswith("@"):
            play(player, line, f"{path.name}:{number}")
    player.flush()
    player.socket.close()

"""What does not fit on lines: cut octets, smuggling, floods, slow and vanishing clients, and what is stored in the end."""
import email
import random
import signal
import socket
import time

import pytest

from conftest import unverified, wait_until
from test_golden import USUAL, is_quiet

EHLO = b"EHLO client.example.test\r\n"
UNTIL_DATA = b"MAIL FROM:<sam@outside.test>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\n"


class Client:
    """A socket with a memory of what came."""

    def __init__(self, server, port=None, greeting=True):
        self.socket = server.raw(port)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = b""
        if greeting:
            self.reply()

    def send(self, octets):
        self.socket.sendall(octets)

    def reply(self):
        """The next whole reply; b"" at the end."""
        lines = b""
        while True:
            while b"\n" not in self.heard:
                try:
                    octets = self.socket.recv(65536)
                except ConnectionResetError:
                    octets = b""
                if not octets:
                    return lines + self.heard
                self.heard += octets
            line, self.heard = self.heard.split(b"\n", 1)
            lines += line + b"\n"
            if line[3:4] != b"-":
                return lines

    def say(self, octets, code):
        self.send(octets)
        reply = self.reply()
        assert reply.startswith(code), reply
        return reply

    def to_the_end(self):
        octets = self.heard
        try:
            while more := self.socket.recv(65536):
                octets += more
        except ConnectionResetError:
            pass
        return octets

    def begin_content(self):
        self.say(EHLO, b"250")
        self.send(UNTIL_DATA)
        assert [self.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]


@pytest.fixture
def server(postrider):
    return postrider(*USUAL, submission=True)


def test_any_cut_gives_the_same_replies(server):
    dialogue = (EHLO + UNTIL_DATA + b"Subject: x\r\n\r\n..\r\nbody\r\n.\r\n" + b"NOOP\nNOOP\r\nFOO\r\n" + UNTIL_DATA
                + b"bare\nlf\r\n.\r\n" + b"RSET\r\nVRFY x\r\nHELP\r\nQUIT\r\n")

    def replies(cuts):
        client = Client(server, greeting=False)
        for piece in cuts:
            client.send(piece)
            if len(cuts) > 1:
                time.sleep(random.choice([0, 0, 0.001]))
        import re
        return re.sub(rb"queued as [0-9a-f]{16}", b"queued as ID", client.to_the_end())

    whole = replies([dialogue])
    assert whole.count(b"\r\n") > 20
    random.seed(1)
    for _ in range(20):
        cuts, at = [], 0
        while at < len(dialogue):
            length = random.choice([1, 2, 3, 10, 100])
            cuts.append(dialogue[at:at + length])
            at += length
        assert replies(cuts) == whole


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\r\n.\r\r\n"])
def test_no_other_end_of_data(server, end):
    """SMTP smuggling: what follows a false end is content, and content with such line ends is refused."""
    client = Client(server)
    client.begin_content()
    client.send(b"Subject: x\r\n\r\nhello" + end + b"MAIL FROM:<evil@outside.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
                b"Subject: smuggled\r\n\r\nx\r\n.\r\n")
    assert client.reply().startswith(b"554 5.6.0")
    client.say(b"NOOP\r\n", b"250 2.0.0 ok")
    client.say(b"QUIT\r\n", b"221")
    assert server.mails("bob@example.test") == [] and server.mails("ann@example.test") == []


def test_starttls_injection(server):
    """CVE-2011-0411: commands sent behind STARTTLS in clear are not run inside TLS."""
    client = Client(server, server.submission)
    client.say(EHLO, b"250")
    client.send(b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@outside.test>\r\n")
    assert client.reply().startswith(b"220")
    assert client.heard == b""
    # those octets are gone: the handshake begins with what comes next
    with unverified().wrap_socket(client.socket) as tls:
        assert is_quiet(tls)
        tls.sendall(b"MAIL FROM:<evil@outside.test>\r\n")
        assert tls.recv(1000).startswith(b"503 5.5.1 say EHLO")


def test_not_tls_behind_starttls(server):
    client = Client(server)
    client.say(b"STARTTLS\r\n", b"220")
    client.send(b"EHLO x.test\r\n" * 10)
    assert b"250" not in client.to_the_end()
    server.wait_event("session_ended")


def test_trace_fields_and_envelope(server):
    """RFC 5321 §4.4: Received: in front of what came, Return-Path: on top at delivery; nothing else is touched."""
    content = b"Received: from before\r\nSubject: x\r\nX-Strange:no space\r\n\r\nbody \xe9\r\n"
    client = Client(server)
    client.begin_content()
    client.say(content + b".\r\n", b"250 2.0.0")
    mail = server.wait_mails("ann@example.test")[0].replace(b"\r\n", b"\n")
    assert mail.endswith(content.replace(b"\r\n", b"\n"))
    message = email.message_from_bytes(mail)
    assert message.keys()[0] == "Return-Path" and message["Return-Path"] == "<sam@outside.test>"
    received = " ".join(message.get_all("Received")[0].split())
    assert received.startswith("from client.example.test ([127.0.0.1]) by mx.example.test (Postrider) with ESMTP id ")
    assert " for <ann@example.test>; " in received
    assert message["Message-ID"] is None and message["Date"] is None


def test_submission_adds_what_is_missing(server):
    """RFC 6409 §8.2, §8.3"""
    server.send("ann@example.test", "bob@example.test", "From: ann@example.test\r\n\r\nx\r\n", login=("ann@example.test", "secret"))
    message = email.message_from_bytes(server.wait_mails("bob@example.test")[0])
    assert message["Date"] and message["Message-ID"].endswith("@mx.example.test>")
    assert "with ESMTPSA id" in message["Received"] and "using TLSv1.3" in message["Received"]
    event = server.wait_event("message_received")
    assert event["account"] == "ann@example.test" and event["reverse_path"] == "ann@example.test"
    assert event["tls"].startswith("TLSv1.3") and event["listener"] == "submission"


def test_header_without_end(server):
    client = Client(server)
    client.begin_content()
    client.say(b"hello, no header here\r\n.\r\n", b"250 2.0.0")
    mail = server.wait_mails("ann@example.test")[0].replace(b"\r\n", b"\n")
    assert mail.endswith(b"\n\nhello, no header here\n")


def test_counted_size(postrider):
    """RFC 1870 §6: told nothing, or a lie, and then too much: refused behind the final dot, the session goes on."""
    server = postrider(*USUAL, "--max-message-size", "64K")
    client = Client(server)
    client.begin_content()
    client.send(b"Subject: x\r\n\r\n" + (b"x" * 62 + b"\r\n") * 1100)
    client.say(b".\r\n", b"552 5.3.4")
    client.send(UNTIL_DATA)
    assert [client.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
    client.say(b"Subject: x\r\n\r\n" + (b"x" * 62 + b"\r\n") * 1000 + b".\r\n", b"250")


def test_loop(server):
    client = Client(server)
    client.begin_content()
    client.say(b"Received: from x by y; z\r\n" * 51 + b"\r\n.\r\n", b"554 5.4.6")


def test_content_of_every_kind(server):
    """Octets come through as they were, whatever the pieces: dots, 8 bit, long lines, empty lines, 3 MB."""
    random.seed(2)
    body = b"".join(random.choice([b".", b"..", b"", b".x", b"x" * 998, b"y" * 5000, bytes(range(128, 256)), b"From x", b" . "])
                    + b"\r\n" for _ in range(3000))
    client = Client(server)
    client.begin_content()
    octets = b"Subject: x\r\n\r\n" + b"".join(b"." + line if line.startswith(b".") else line for line in body.splitlines(True))
    octets += b".\r\nNOOP\r\n"
    at = 0
    while at < len(octets):
        length = random.choice([1, 100, 5000, 100000])
        client.send(octets[at:at + length])
        at += length
    assert client.reply().startswith(b"250 2.0.0 ok, queued")
    assert client.reply() == b"250 2.0.0 ok\r\n"
    mail = server.wait_mails("ann@example.test")[0]
    assert mail.replace(b"\r\n", b"\n").endswith(b"\n\n" + body.replace(b"\r\n", b"\n"))


def test_gone_before_the_reply(server):
    """The message is durable: a client that does not wait for the 250 has it delivered."""
    for count in range(1, 11):
        client = Client(server)
        client.begin_content()
        client.send(b"Subject: x\r\n\r\nhello\r\n.\r\n")
        client.socket.close()
        server.wait_mails("ann@example.test", count)


def test_gone_within_the_content(server):
    for _ in range(10):
        client = Client(server)
        client.begin_content()
        client.send(b"Subject: x\r\n\r\nhello\r\n.")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.socket.close()
    wait_until(lambda: len(server.events("session_ended")) >= 10)
    assert server.events("message_received") == [] and server.queue() == []


def memory_octets(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def test_floods_take_no_memory(server):
    """A client that never reads, one whose line never ends, and one whose header never ends."""
    before = memory_octets(server.children()["mta"])
    clients = [Client(server) for _ in range(30)]
    clients[0].begin_content()
    for client in clients:
        client.socket.settimeout(0.5)
    floods = {0: b"X: " + b"y" * 65000 + b"\r\n", 1: b"x" * 65000}
    for number, client in enumerate(clients):
        try:
            for _ in range(100):
                client.send(floods.get(number, b"HELP\r\n" * 10000))
        except OSError:
            pass
    grown = memory_octets(server.children()["mta"]) - before
    assert grown < 40 << 20, f"{grown >> 20} MiB for 30 clients that misbehave"
    Client(server).say(EHLO, b"250")


def test_too_many_errors(server):
    client = Client(server)
    client.send(b"FOO\r\n" * 100)
    heard = client.to_the_end()
    assert heard.count(b"500 5.5.1") == 20 and heard.endswith(b"421 4.7.0 too many errors; closing\r\n")


def test_too_many_idle_commands(server):
    client = Client(server)
    client.send(b"NOOP\r\n" * 200)
    heard = client.to_the_end()
    assert heard.count(b"250 2.0.0") == 100 and b"\r\n421 4.7.0 " in heard


def test_recipients_without_end(server):
    client = Client(server)
    client.say(EHLO, b"250")
    client.say(b"MAIL FROM:<sam@outside.test>\r\n", b"250")
    client.send(b"RCPT TO:<ann@example.test>\r\n" * 1100)
    replies = [client.reply()[:9] for _ in range(1100)]
    assert replies == [b"250 2.1.5"] * 1000 + [b"452 4.5.3"] * 100
    client.say(b"DATA\r\n", b"354")
    client.say(b".\r\n", b"250")
    time.sleep(0.3)
    assert len(server.wait_mails("ann@example.test")) == 1


def test_random_octets(server):
    random.seed(3)
    for _ in range(50):
        client = Client(server, greeting=False)
        words = [b"MAIL FROM:<", b"RCPT TO:<", b"DATA\r\n", b"EHLO ", b".\r\n", b"\r\n", b"AUTH PLAIN ", b"STARTTLS\r\n", b"\0", b"<>"]
        try:
            for _ in range(100):
                client.send(random.choice(words) if random.random() < 0.7 else random.randbytes(random.randint(1, 300)))
            client.socket.shutdown(socket.SHUT_WR)
            client.to_the_end()
        except OSError:
            pass
    Client(server).say(EHLO, b"250")
    assert server.events("process_ended") == []


def test_stop_says_so(server):
    """SIGTERM: an idle client is told, a transaction under way may end."""
    idle, busy = Client(server), Client(server)
    busy.begin_content()
    server.process.send_signal(signal.SIGTERM)
    assert idle.reply().startswith(b"421 4.3.2") and idle.reply() == b""
    busy.say(b"Subject: x\r\n\r\nlast\r\n.\r\n", b"250 2.0.0")
    assert busy.reply().startswith(b"421 4.3.2")
    assert server.wait() == 0


def test_reload_keeps_sessions(server):
    client = Client(server)
    client.begin_content()
    server.reload()
    time.sleep(0.5)
    client.say(b".\r\n", b"250 2.0.0")
    client.say(b"NOOP\r\n", b"250")


def test_bursts_of_sessions(server):
    """300 connections at once, each with a message: all are served."""
    clients = [Client(server, greeting=False) for _ in range(300)]
    for number, client in enumerate(clients):
        client.send(EHLO + UNTIL_DATA + b"Subject: %d\r\n\r\nx\r\n.\r\nQUIT\r\n" % number)
    for client in clients:
        heard = client.to_the_end()
        assert b"queued as" in heard and heard.endswith(b"221 2.0.0 bye\r\n"), heard
    assert len(server.wait_mails("ann@example.test", 300, timeout=60)) == 300

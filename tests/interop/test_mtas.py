"""Postfix, Exim and Dovecot beside us: each as the server we hand mail to, the first two also as the one that hands mail to us."""
import pathlib
import re
import smtplib
import subprocess

import pytest

from conftest import BINARY, Postrider, free_port, unverified, wait_until
from peers import Remote, certificate, dovecot, exim, is_root, names, postfix, remote, server_tls  # noqa: F401

CONTENT = "From: ann@here.test\r\nTo: x@there.test\r\nSubject: {}\r\n\r\nHello.\r\n.a dot\r\n"
FROM_HERE = ("--relay-from", "127.0.0.0/8")


class Served(Postrider):
    """`postrider serve` with a configuration of one's own (routes with names and passwords have no flags)."""

    def __init__(self, folder, yaml):
        super().__init__(pathlib.Path(folder) / "data", hostname="us.test")
        self.file = pathlib.Path(folder) / "postrider.yaml"
        users = "user_mta: nobody\nuser_keyring: daemon\nuser_mailbox: mail\n" if is_root else ""
        self.file.write_text(f"hostname: us.test\ndir: data\nrelay_from: 127.0.0.0/8\nlisteners:\n  - role: mx\n    address: 127.0.0.1:{self.mx}\n"
                             f"domains:\n  - name: here.test\naccounts:\n  - address: ann@here.test\n    password: secret\n"
                             f"spool:\n  reserve: 1M\nretry:\n  first: 300ms\n  longest: 1s\n{users}{yaml}")

    def command(self):
        return [str(BINARY), "serve", "-c", str(self.file)]


@pytest.fixture
def served(tmp_path):
    running = []
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and is_root and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)  # other users must get in

    def start(yaml):
        running.append(Served(tmp_path, yaml))
        return running[-1].start()
    yield start
    for server in running:
        if server.process and server.process.poll() is None:
            server.stop()


def smarthost(port, more):
    return f"routes:\n  - domains: '*'\n    via: smarthost\n    host: 127.0.0.1:{port}\n" + "".join(f"    {line}\n" for line in more)


# -- Postfix

def test_postfix_takes_our_mail(postrider, postfix):
    peer = postfix()
    server = postrider(*FROM_HERE, "--user", "ann@here.test:secret", "--relay-to", f"127.0.0.1:{peer.port}")
    for i in range(20):
        server.send("ann@here.test", ["ann@there.test", "bob@there.test"], CONTENT.format(i))
    server.send("ann@here.test", ["bob@there.test", "nobody@there.test"], CONTENT.format("unknown"))
    wait_until(lambda: len(peer.mails("bob")) == 21 and len(peer.mails("ann")) == 20, what="41 messages", timeout=40)
    event = server.wait_event("recipient_bounced", forward_path="nobody@there.test")
    assert event["status"] == "5.1.1" and event["stage"] == "rcpt" and event["tls"].startswith("TLSv1.3")
    assert all(b"Hello.\n.a dot\n" in mail for mail in peer.mails("ann"))


def test_postfix_refuses_what_is_not_its_own(postrider, postfix):
    peer = postfix()
    server = postrider(*FROM_HERE, "--user", "ann@here.test:secret", "--relay-to", f"127.0.0.1:{peer.port}")
    server.send("ann@here.test", ["x@elsewhere.test"], CONTENT.format("relay"))
    event = server.wait_event("recipient_bounced", forward_path="x@elsewhere.test")
    assert event["status"] == "5.7.1" and "Relay access denied" in event["reply"]
    assert "Relay access denied" in server.wait_mails("ann@here.test")[0].decode()


@pytest.mark.parametrize("tls", ["required", "verified"])
def test_postfix_as_smarthost_with_sign_in(served, postfix, dovecot, remote, tls):
    """Out through Postfix, which asks Dovecot whether the password is right and relays to a third server."""
    auth = dovecot()
    third = remote()
    peer = postfix(f"relayhost = [127.0.0.1]:{third.port}\n", sasl=auth.folder / "auth")
    checked = [f"ca_file: {peer.folder}/cert.pem"] if tls == "verified" else []
    server = served(smarthost(peer.port, [f"tls: {tls}", *checked, "username: ann@there.test", "password: secret"]))
    server.send("ann@here.test", ["x@elsewhere.test"], CONTENT.format("signed in"))
    server.wait_event("recipient_delivered", forward_path="x@elsewhere.test")
    wait_until(lambda: third.recipients() == ["x@elsewhere.test"], what="relayed by Postfix")
    assert "sasl_username=ann@there.test" in peer.maillog()


def test_postfix_turns_a_wrong_password_down(served, postfix, dovecot):
    auth = dovecot()
    peer = postfix(sasl=auth.folder / "auth")
    server = served(smarthost(peer.port, ["tls: required", "username: ann@there.test", "password: wrong"]))
    server.send("ann@here.test", ["x@elsewhere.test"], CONTENT.format("not signed in"))
    event = server.wait_event("recipient_deferred", forward_path="x@elsewhere.test")
    assert event["stage"] == "auth" and event["status"] == "4.7.8"


def test_a_certificate_nobody_vouches_for(served, postfix):
    peer = postfix()
    server = served(smarthost(peer.port, ["tls: verified"]))
    server.send("ann@here.test", ["ann@there.test"], CONTENT.format("verified"))
    event = server.wait_event("recipient_deferred", forward_path="ann@there.test")
    assert event["stage"] == "tls" and event["status"] == "4.7.5"
    assert not peer.mails("ann")


def test_postfix_hands_mail_to_us(postrider, postfix):
    server = postrider("--user", "ann@here.test:secret", "--domain", "here.test")
    peer = postfix(f"relayhost = [127.0.0.1]:{server.mx}\nmynetworks = 127.0.0.0/8\n")
    with smtplib.SMTP("127.0.0.1", peer.port) as client:
        for i in range(20):
            client.sendmail("bob@there.test", ["ann@here.test"], CONTENT.format(i))
        client.sendmail("bob@there.test", ["nobody@here.test"], CONTENT.format("unknown"))
    mails = server.wait_mails("ann@here.test", 20, timeout=40)
    assert all(b"Hello.\r\n.a dot\r\n" in mail or b"Hello.\n.a dot\n" in mail for mail in mails)
    received = wait_until(lambda: server.events("message_received"), what="the events are written")
    assert {e["tls"].split()[0] for e in received} == {"TLSv1.3"}
    returned = wait_until(lambda: peer.mails("bob"), what="Postfix returns what we refused")
    assert b"Status: 5.1.1" in returned[0]


def test_postfix_reads_our_dsn_extension(postrider, postfix, remote):
    """What the sender asked for travels through us to a server that keeps the promise."""
    peer = postfix("smtpd_discard_ehlo_keywords =\n")
    server = postrider(*FROM_HERE, "--relay-to", f"127.0.0.1:{peer.port}")
    with server.smtp() as client:
        client.ehlo()
        if "dsn" not in client.esmtp_features:
            pytest.skip("DSN is not offered yet")
        client.sendmail("ann@there.test", ["bob@there.test"], CONTENT.format("dsn"), rcpt_options=["NOTIFY=SUCCESS"])
    reports = wait_until(lambda: peer.mails("ann"), what="Postfix reports success")
    assert b"Action: delivered" in reports[0]


# -- Exim

def test_exim_takes_our_mail(postrider, exim):
    peer = exim()
    server = postrider(*FROM_HERE, "--user", "ann@here.test:secret", "--relay-to", f"127.0.0.1:{peer.port}")
    for i in range(10):
        server.send("ann@here.test", ["ann@there.test", "bob@there.test"], CONTENT.format(i))
    server.send("ann@here.test", ["nobody@there.test"], CONTENT.format("unknown"))
    wait_until(lambda: peer.mailbox("bob").count(b"\nSubject: ") == 10 and peer.mailbox("ann").count(b"\nSubject: ") == 10,
               what="20 messages", timeout=40)
    event = server.wait_event("recipient_bounced", forward_path="nobody@there.test")
    assert "no such user here" in event["reply"] and event["tls"].startswith("TLSv1.3")
    assert peer.mailbox("ann").count(b"\n.a dot\n") == 10


def test_exim_hands_mail_to_us(postrider, exim):
    server = postrider("--user", "ann@here.test:secret")
    peer = exim(smarthost=f"127.0.0.1::{server.mx}")
    with smtplib.SMTP("127.0.0.1", peer.port) as client:
        for i in range(10):
            client.sendmail("bob@there.test", ["ann@here.test"], CONTENT.format(i))
        client.sendmail("bob@there.test", ["nobody@here.test"], CONTENT.format("unknown"))
    server.wait_mails("ann@here.test", 10, timeout=40)
    wait_until(lambda: b"nobody@here.test" in peer.mailbox("bob"), what="Exim returns what we refused")
    assert {e["tls"].split()[0] for e in wait_until(lambda: server.events("message_received"), what="the events are written")} == {"TLSv1.3"}


# -- Dovecot

@pytest.mark.parametrize("way", ["port", "socket"])
def test_dovecot_by_lmtp(served, dovecot, way):
    peer = dovecot()
    host = f"127.0.0.1:{peer.port}" if way == "port" else f"unix:{peer.folder}/lmtp"
    server = served(f"routes:\n  - domains: there.test\n    via: lmtp\n    host: {host}\n")
    server.send("ann@here.test", ["ann@there.test", "nobody@there.test", "bob@there.test"], CONTENT.format("lmtp"))
    for name in ("ann", "bob"):
        mail = wait_until(lambda: peer.mails(name), what=f"{name}'s mail")[0]
        assert b"Subject: lmtp" in mail and b"\n.a dot" in mail
        assert mail.startswith(b"Return-Path: <ann@here.test>")
        server.wait_event("recipient_delivered", forward_path=f"{name}@there.test")
    event = server.wait_event("recipient_bounced", forward_path="nobody@there.test")
    assert event["status"] == "5.1.1" and event["stage"] == "rcpt"
    assert b"nobody@there.test" in server.wait_mails("ann@here.test")[0]


def test_many_messages_by_lmtp(served, dovecot):
    peer = dovecot()
    server = served(f"routes:\n  - domains: there.test\n    via: lmtp\n    host: unix:{peer.folder}/lmtp\n")
    with server.smtp() as client:
        for i in range(60):
            client.sendmail("ann@here.test", ["ann@there.test", "bob@there.test"], CONTENT.format(i))
    wait_until(lambda: len(peer.mails("ann")) == 60 and len(peer.mails("bob")) == 60, what="120 messages", timeout=40)
    assert len(server.events("recipient_deferred")) == 0

"""Outgoing mail against a remote (aiosmtpd) that refuses, breaks off and misbehaves at every stage."""
import re
import uuid

import pytest

from conftest import wait_until
from peers import Remote, remote, server_tls  # noqa: F401

CONTENT = "From: ann@here.test\r\nTo: bob@there.test\r\nSubject: test\r\n\r\nHello.\r\n"


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    """One server and one remote for the whole file; the plans differ."""
    from conftest import Postrider
    it = Remote()
    it.start()
    server = Postrider(tmp_path_factory.mktemp("relay"), "--user", "ann@here.test:secret", "--relay-from", "127.0.0.0/8",
                       "--relay-to", f"127.0.0.1:{it.port}", "--retry-min", "300ms", "--retry-max", "600ms",
                       "--idle-connection", "0s", hostname="us.test").start()
    yield server, it
    assert server.stop() == 0
    it.stop()


def send(server, *names):
    """Addresses nobody used before, so that events can be told apart."""
    token = uuid.uuid4().hex[:8]
    recipients = [f"{name}-{token}@there.test" for name in names]
    server.send("ann@here.test", recipients, CONTENT)
    return recipients


def deferral(server, recipient):
    return server.wait_event("recipient_deferred", forward_path=recipient)


TRANSIENT = [
    # stage, action, the event's stage, status, part of the text
    ("greeting", "421 4.3.2 too busy", "greeting", "4.3.2", "too busy"),
    ("greeting", "554 5.7.1 not you", "greeting", "4.7.1", "not you"),
    ("greeting", "drop", "greeting", "4.4.2", "the server closed it"),
    ("greeting", "reset", "greeting", "4.4.2", "reset"),
    ("greeting", "garbage", "greeting", "4.5.0", "not SMTP"),
    ("greeting", "longline", "greeting", "4.5.0", "not SMTP"),
    ("EHLO", "451 4.3.0 no", "ehlo", "4.3.0", "no"),
    ("EHLO", "drop", "ehlo", "4.4.2", "the server closed it"),
    ("EHLO", "endless", "ehlo", "4.5.0", "not SMTP"),
    ("MAIL", "451 4.7.1 greylisted, come back later", "mail", "4.7.1", "greylisted, come back later"),
    ("MAIL", "421 4.3.2 going down", "mail", "4.3.2", "going down"),
    ("MAIL", "drop", "mail", "4.4.2", "MAIL"),
    ("RCPT", "450 4.2.1 mailbox busy", "rcpt", "4.2.1", "mailbox busy"),
    ("RCPT", "452 4.5.3 too many", "rcpt", "4.5.3", "too many"),
    ("RCPT", "552 too many recipients", "rcpt", "4.5.3", "too many recipients"),
    ("RCPT", "drop", "rcpt", "4.4.2", "RCPT"),
    ("RCPT", "reset", "rcpt", "4.4.2", "RCPT"),
    ("RCPT", "garbage", "rcpt", "4.5.0", "not SMTP"),
    ("DATA", "451 4.3.0 disk trouble", "data", "4.3.0", "disk trouble"),
    ("DATA", "drop", "data", "4.4.2", "DATA"),
    ("content", "450 4.7.0 think again", "content", "4.7.0", "think again"),
    ("content", "452 out of space", "content", "4.3.1", "out of space"),
    ("content", "drop", "content", "4.4.2", "the reply to the whole message"),
    ("content", "reset", "content", "4.4.2", "the reply to the whole message"),
    ("content", "garbage", "content", "4.5.0", "not SMTP"),
]


@pytest.mark.parametrize("stage,action,where,status,text", TRANSIENT, ids=lambda v: str(v)[:24])
def test_transient_failure_is_tried_again(relay, stage, action, where, status, text):
    server, remote = relay
    before = len(remote.messages)
    remote.plan(stage, action)
    recipient, = send(server, "bob")
    event = deferral(server, recipient)
    server.wait_event("recipient_delivered", forward_path=recipient)  # before any assert: the next row wants a quiet remote
    if (stage, action) == ("greeting", "reset") and event["stage"] == "connect":
        assert event["status"] == "4.4.1"  # the reset overtook the news that we were connected
    else:
        assert (event["stage"], event["status"]) == (where, status)
    assert text in event["reply"]
    assert remote.recipients()[before:].count(recipient) == 1  # "drop" of the content came before it was kept


PERMANENT = [
    ("MAIL", "550 5.7.1 we do not like you", "mail", "5.7.1", "we do not like you"),
    ("RCPT", "550 5.1.1 no such user", "rcpt", "5.1.1", "no such user"),
    ("RCPT", "550 no such user", "rcpt", "5.0.0", "no such user"),
    ("RCPT", "553 bad name", "rcpt", "5.1.3", "bad name"),
    ("DATA", "554 5.5.0 never", "data", "5.5.0", "never"),
    ("content", "554 5.7.1 this is spam", "content", "5.7.1", "this is spam"),
    ("content", "552 too large", "content", "5.3.4", "too large"),
]


@pytest.mark.parametrize("stage,action,where,status,text", PERMANENT, ids=lambda v: str(v)[:24])
def test_permanent_failure_is_returned(relay, stage, action, where, status, text):
    server, remote = relay
    returned = len(server.mails("ann@here.test"))
    remote.plan(stage, action)
    recipient, = send(server, "bob")
    event = server.wait_event("recipient_bounced", forward_path=recipient)
    assert (event["stage"], event["status"]) == (where, status)
    report = server.wait_mails("ann@here.test", returned + 1)[-1].decode()
    assert re.search(rf"^Status: {re.escape(status)}\r?$", report, re.M)
    assert re.search(rf"^Final-Recipient: rfc822; *{re.escape(recipient)}\r?$", report, re.M | re.I)
    assert text in report
    assert not [e for e in server.events("recipient_deferred") if e["forward_path"] == recipient]


def test_each_recipient_has_its_own_outcome(relay):
    server, remote = relay
    remote.plan("RCPT", "250 2.1.5 fine", "550 5.1.1 who", "450 4.2.2 full")
    good, unknown, full = send(server, "good", "unknown", "full")
    server.wait_event("recipient_bounced", forward_path=unknown, status="5.1.1")
    assert deferral(server, full)["status"] == "4.2.2"
    server.wait_event("recipient_delivered", forward_path=full)
    assert remote.recipients().count(unknown) == 0
    assert remote.recipients().count(full) == 1


def test_slow_replies_are_waited_for(relay):
    server, remote = relay
    remote.plan("RSET", "slow")
    remote.plan("MAIL", "450 4.2.0 first", None)
    recipient, = send(server, "slow")
    server.wait_event("recipient_delivered", forward_path=recipient)


def test_helo_when_ehlo_is_unknown(relay):
    server, remote = relay
    remote.plan("EHLO", "502 5.5.1 what is that")
    recipient, = send(server, "old")
    server.wait_event("recipient_delivered", forward_path=recipient)
    assert ("HELO", "us.test") in remote.seen


def test_content_arrives_as_it_was(relay):
    server, remote = relay
    body = "".join(f"{'.' * (i % 4)}line {i} \x7f\r\n" for i in range(2000)) + ".\r\n..\r\n"
    token = uuid.uuid4().hex
    server.send("ann@here.test", [f"{token}@there.test"], f"Subject: {token}\r\n\r\n" + body)
    server.wait_event("recipient_delivered", forward_path=f"{token}@there.test")
    content = [m[2] for m in remote.messages if m[1] == [f"{token}@there.test"]]
    assert len(content) == 1 and content[0].endswith(body.encode())


def test_large_message(relay):
    server, remote = relay
    token = uuid.uuid4().hex
    body = ("x" * 98 + "\r\n" + ".dots\r\n") * 60000  # past spool.large_message: from its own file
    server.send("ann@here.test", [f"{token}@there.test"], f"Subject: {token}\r\n\r\n" + body)
    server.wait_event("recipient_delivered", forward_path=f"{token}@there.test", timeout=40)
    content = [m[2] for m in remote.messages if m[1] == [f"{token}@there.test"]]
    assert len(content) == 1 and content[0].endswith(body.encode())


def test_connections_are_kept(postrider, remote):
    it = remote()
    server = postrider("--relay-from", "127.0.0.0/8", "--relay-to", f"127.0.0.1:{it.port}", "--idle-connection", "1s", "--loops", "1")
    with server.smtp() as client:
        for i in range(50):
            client.sendmail("ann@here.test", [f"{i}@there.test"], CONTENT)
    wait_until(lambda: len(it.messages) == 50, what="50 messages")
    assert sorted(it.recipients(), key=lambda r: int(r.split("@")[0])) == [f"{i}@there.test" for i in range(50)]
    assert len(it.hellos()) < 25
    wait_until(lambda: any(verb == "QUIT" for verb, _ in it.seen), what="QUIT when idle")


def test_without_pipelining(postrider, remote):
    it = remote(extensions=())
    server = postrider("--relay-from", "127.0.0.0/8", "--relay-to", f"127.0.0.1:{it.port}")
    server.send("ann@here.test", [f"{i}@there.test" for i in range(10)], CONTENT)
    wait_until(lambda: len(it.recipients()) == 10, what="10 recipients")
    assert len(it.messages) == 1


def test_starttls_where_offered(postrider, remote, tmp_path):
    tls, _ = server_tls(tmp_path)
    it = remote(tls=tls)
    server = postrider("--relay-from", "127.0.0.0/8", "--relay-to", f"127.0.0.1:{it.port}")
    server.send("ann@here.test", ["bob@there.test"], CONTENT)
    event = server.wait_event("recipient_delivered", forward_path="bob@there.test")
    assert event["tls"].startswith("TLSv1.3 ")
    assert it.messages[0][3]


@pytest.mark.parametrize("action", ["454 4.7.0 no TLS today", "drop", "220 but no handshake"])
def test_mail_goes_in_clear_when_tls_fails(postrider, remote, tmp_path, action):
    tls, _ = server_tls(tmp_path)
    it = remote(tls=tls)
    it.plan("STARTTLS", *[action] * 5)
    server = postrider("--relay-from", "127.0.0.0/8", "--relay-to", f"127.0.0.1:{it.port}", "--idle-connection", "0s", "--loops", "1")
    for i in range(2):
        server.send("ann@here.test", [f"{i}@there.test"], CONTENT)
        event = server.wait_event("recipient_delivered", forward_path=f"{i}@there.test")
        assert not event.get("tls")
    assert [m[3] for m in it.messages] == [False, False]
    if not action[0].isdigit() or action.startswith("220"):  # remembered: the second message does not try again
        assert len(it.hellos()) == 3

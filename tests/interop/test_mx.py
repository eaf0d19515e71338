"""Delivery by MX against a real authoritative server (nsd): order, fallbacks, null MX, CNAME, ourselves, dead hosts."""
import re

import pytest

from conftest import free_port, wait_until
from peers import names, remote  # noqa: F401

CONTENT = "From: ann@here.test\r\nSubject: test\r\n\r\nHello.\r\n"

# every host has its own loopback address; all listen on the same port
ZONE = """
simple MX 10 one
one A 127.0.0.11
two A 127.0.0.12
dead A 127.0.0.13
both A 127.0.0.13
both A 127.0.0.11
plain A 127.0.0.11
order MX 20 two
order MX 10 one
equal MX 10 one
equal MX 10 two
fallback MX 10 dead
fallback MX 20 two
multi MX 10 both
alias CNAME simple
mxalias MX 10 onealias
onealias CNAME one
null MX 0 .
empty TXT "no mail server here"
lost MX 10 nosuchhost
ours MX 10 us
ours MX 20 two
us A 127.0.0.1
backup MX 10 dead
backup MX 20 us
backup MX 30 two
byaddress MX 10 same
same A 127.0.0.1
alldead MX 10 dead
"""


@pytest.fixture
def world(postrider, remote, names):
    """(server, remote one, remote two): the remotes are 127.0.0.11 and 127.0.0.12."""
    port = free_port("127.0.0.11")
    one, two = remote(host="127.0.0.11", port=port), remote(host="127.0.0.12", port=port)
    dns = names(ZONE)
    server = postrider("--user", "ann@here.test:secret", "--relay-from", "127.0.0.0/8", "--dns", f"127.0.0.1:{dns.port}",
                       "--mx-port", str(port), "--retry-min", "500ms", "--retry-max", "1s", hostname="us.test")
    return server, one, two


def test_where_mail_goes(world):
    server, one, two = world
    ways = {"simple": one, "plain": one, "order": one, "fallback": two, "multi": one, "alias": one, "mxalias": one}
    for domain in ways:
        server.send("ann@here.test", [f"bob@{domain}.test"], CONTENT)
    for domain, remote in ways.items():
        event = server.wait_event("recipient_delivered", forward_path=f"bob@{domain}.test")
        assert f"bob@{domain}.test" in remote.recipients(), domain
        assert event["remote_address"].startswith(("127.0.0.11:", "127.0.0.12:"))


REFUSED = {
    "null": ("5.1.10", "takes no mail"),
    "nosuchdomain": ("5.1.2", "does not exist"),
    "empty": ("5.4.4", "no mail server"),
    "lost": ("5.4.4", "nosuchhost.test"),
    "ours": ("5.4.6", "loops back"),
}


@pytest.mark.parametrize("domain", REFUSED)
def test_nowhere_to_go(world, domain):
    server, one, two = world
    status, text = REFUSED[domain]
    server.send("ann@here.test", [f"bob@{domain}.test"], CONTENT)
    event = server.wait_event("recipient_bounced", forward_path=f"bob@{domain}.test")
    assert event["status"] == status and event["stage"] == "dns" and text in event["reply"]
    report = server.wait_mails("ann@here.test")[0].decode()
    assert re.search(rf"^Status: {re.escape(status)}\r?$", report, re.M) and text in re.sub(r"\s+", " ", report)
    assert not one.messages and not two.messages


@pytest.mark.parametrize("domain,where", [("alldead", "connect"), ("backup", "connect"), ("broken", "dns")])
def test_waits(world, domain, where):
    server, one, two = world
    server.send("ann@here.test", [f"bob@{domain}.test"], CONTENT)
    event = server.wait_event("recipient_deferred", timeout=40, forward_path=f"bob@{domain}.test")
    assert event["stage"] == where and event["status"].startswith("4.4.")
    assert not one.messages and not two.messages  # the backup of a domain must not send it further down


def test_our_own_address_is_a_loop(postrider, names):
    dns = names(ZONE)
    port = free_port()
    server = postrider("--user", "ann@here.test:secret", "--relay-from", "127.0.0.0/8", "--dns", f"127.0.0.1:{dns.port}",
                       "--mx", f"127.0.0.1:{port}", "--mx-port", str(port), hostname="other.test")
    server.mx = port
    server.send("ann@here.test", ["bob@byaddress.test"], CONTENT)
    event = server.wait_event("recipient_bounced", forward_path="bob@byaddress.test")
    assert event["status"] == "5.4.6"


@pytest.mark.parametrize("action", ["421 4.3.2 busy", "554 5.3.2 not today", "drop"])
def test_the_next_host_is_tried(world, action):
    server, one, two = world
    one.plan("greeting", action)
    server.send("ann@here.test", ["bob@order.test"], CONTENT)
    server.wait_event("recipient_delivered", forward_path="bob@order.test")
    assert two.recipients() == ["bob@order.test"] and not one.messages


def test_every_host_says_no(world):
    server, one, two = world
    one.plan("greeting", "554 5.7.1 no")
    two.plan("greeting", "554 5.7.1 no, never")
    server.send("ann@here.test", ["bob@order.test"], CONTENT)
    event = server.wait_event("recipient_bounced", forward_path="bob@order.test")
    assert event["stage"] == "greeting" and event["status"] == "5.7.1" and event["reply"].endswith("no, never")


def test_equal_preferences_share(postrider, remote, names):
    port = free_port("127.0.0.11")
    one, two = remote(host="127.0.0.11", port=port), remote(host="127.0.0.12", port=port)
    dns = names(ZONE)
    server = postrider("--relay-from", "127.0.0.0/8", "--dns", f"127.0.0.1:{dns.port}", "--mx-port", str(port), "--idle-connection", "0s")
    for i in range(24):  # one connection each
        server.send("ann@here.test", [f"{i}@equal.test"], CONTENT)
        wait_until(lambda: len(one.messages) + len(two.messages) == i + 1, what=f"message {i}")
    assert one.messages and two.messages

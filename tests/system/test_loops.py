"""Several loops in one mta: every loop serves, the queue is one to the operator, a stop loses nothing."""
import concurrent.futures
import smtplib

import pytest

from conftest import wait_until


@pytest.mark.parametrize("loops", [1, 2, 4])
def test_every_loop_takes_and_delivers(postrider, loops):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--loops", str(loops))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: server.send("me@client.test", "ann@example.test", f"Subject: {n}\r\n\r\nHello.\r\n"),
                      range(80)))
    server.wait_mails("ann@example.test", 80)
    files = [p for p in (server.dir / "log/mta").iterdir() if p.name.startswith("events-mta-")]
    assert len(files) == loops
    if loops > 1:  # the kernel spreads the connections
        serving = {p.name for p in files if "message_received" in p.read_text()}
        assert len(serving) > 1


def test_the_queue_of_all_loops_is_one(postrider):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--loops", "3", "--hold")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: server.send(f"s{n}@client.test", "ann@example.test"), range(30)))
    assert len({m["message"] for m in server.queue()}) == 30
    assert len(server.queue("--sender", "s7@client.test")) == 1
    ids = [m["message"] for m in server.queue()]
    server.ctl("queue", "remove", *ids[:10])
    wait_until(lambda: len(server.queue()) == 20, what="ten removed")
    server.stop()
    server.start()
    assert len(server.queue()) == 20


def test_fewer_loops_after_a_restart_keep_all_mail(postrider):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--loops", "3", "--hold")
    for n in range(12):
        server.send("me@client.test", "ann@example.test", f"Subject: {n}\r\n\r\nx\r\n")
    server.stop()
    server.arguments = [a for a in server.arguments if a != "--hold"]
    server.arguments[server.arguments.index("--loops") + 1] = "1"
    server.start()
    server.wait_mails("ann@example.test", 12)


def test_sign_in_and_reload_reach_every_loop(postrider):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--loops", "3", submission=True)
    for _ in range(12):
        server.send("ann@example.test", "ann@example.test", login=("ann@example.test", "secret"))
    server.ctl("user", "add", "bob@example.test", "--password-stdin", input="secret2\n")

    def all_know_bob():
        try:
            for _ in range(12):  # each connection may meet another loop
                server.send("me@client.test", "bob@example.test")
        except smtplib.SMTPRecipientsRefused:
            return False  # the news is on its way from keyring to the loops
        return True
    wait_until(all_know_bob, what="every loop knows the new account")
    server.wait_mails("bob@example.test", 12)

"""Who is at home, seen from outside: aliases, alias files, catch-all addresses, extensions, postmaster, routes by domain;
and that a reload changes them."""
import os

import pytest

from conftest import BINARY, Postrider, wait_until

CONFIGURATION = """
hostname: mx.example.test
dir: data
{users}
listeners:
  - {{role: mx, address: "127.0.0.1:{mx}"}}
spool: {{reserve: 1M}}
relay_from: 127.0.0.1
domains:
  - {{name: Example.test, alias_file: aliases}}
  - {{name: all.test, catch_all: bob@example.test, address_extension: "-"}}
  - {{name: moved.test}}
accounts:
  - {{address: ann@example.test, password: a}}
  - {{address: bob@example.test, password: b}}
  - {{address: x@moved.test, password: x}}
  - {{address: "Odd.Name@all.test", password: c}}
aliases:
  - {{address: info@example.test, targets: [ann@example.test, bob@example.test, ann+copy@example.test]}}
  - {{address: round@example.test, targets: again@example.test}}
  - {{address: again@example.test, targets: round@example.test}}
  - {{address: away@example.test, targets: [ann@example.test, someone@outside.test]}}
routes:
  - {{domains: [kept.test, .kept.test], via: capture, mailbox: special@captured}}
  - {{domains: gone.test, via: discard}}
  - {{domains: moved.test, via: capture, mailbox: moved@captured}}
  - {{domains: "*", via: capture}}
{more}
"""


class Served(Postrider):
    def __init__(self, folder):
        super().__init__(folder / "data")
        self.file = folder / "postrider.yaml"
        self.write()

    def write(self, aliases="sales: ann\nteam: ann, bob,\n  someone@outside.test\n", more=""):
        (self.file.parent / "aliases").write_text(aliases)
        users = "user_mta: nobody\nuser_keyring: daemon\nuser_mailbox: mail\n" if os.geteuid() == 0 else ""
        self.file.write_text(CONFIGURATION.format(mx=self.mx, users=users, more=more))

    def command(self):
        return [str(BINARY), "serve", "-c", str(self.file)]


@pytest.fixture
def server(tmp_path):
    for folder in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and str(folder).startswith("/tmp/") and folder.stat().st_uid == 0:
            folder.chmod(0o755)  # the processes run as other users
    running = Served(tmp_path).start()
    yield running
    running.stop()


def reply(server, recipient):
    with server.smtp() as client:
        client.ehlo()
        client.mail("someone@elsewhere.test")
        return client.rcpt(recipient)[0]


def test_answers_at_rcpt(server):
    wanted = {
        "ann@example.test": 250, "ANN@EXAMPLE.TEST": 250, "ann+shop@example.test": 250, "\"ann\"@example.test": 250,
        "nobody@example.test": 550, "nobody+ann@example.test": 550, "+ann@example.test": 550,
        "info@example.test": 250, "sales@example.test": 250, "Sales+x@example.test": 250, "team@example.test": 250,
        "postmaster@example.test": 250, "postmaster": 250, "PostMaster@all.test": 250,
        "anyone@all.test": 250, "odd.name-x@all.test": 250,
        "someone@outside.test": 250,  # relay_from
    }
    assert {recipient: reply(server, recipient) for recipient in wanted} == wanted
    assert reply(server, "round@example.test") == 451  # aliases in a circle: the operator may mend it


def test_where_it_arrives(server):
    for number, recipient in enumerate(["info@example.test", "team@example.test", "ann+shop@example.test", "x@all.test",
                                        "ODD.name-y@all.test", "away@example.test", "x@kept.test", "x@y.kept.test", "x@gone.test",
                                        "x@moved.test", "x@rest.test"]):
        server.send("someone@elsewhere.test", recipient, f"Subject: {number}\r\n\r\nHello.\r\n")

    def subjects(address):
        return sorted(int(line[9:]) for mail in server.mails(address) for line in mail.split(b"\r\n\r\n", 1)[0].replace(
            b"\r\n", b"\n").split(b"\n") if line.startswith(b"Subject: "))

    wanted = {
        "ann@example.test": [0, 1, 2, 5],  # once, although info names ann twice
        "bob@example.test": [0, 1, 3],
        "odd.name@all.test": [4],
        "special@captured": [6, 7],
        "moved@captured": [9],
        "outside@captured": [1, 5, 10],
    }

    def found():
        return {address: subjects(address) or subjects(address.replace("odd.name", "Odd.Name")) for address in wanted}

    wait_until(lambda: found() == wanted, 20, f"{wanted}")
    wait_until(lambda: server.queue() == [], 10, "an empty queue")


def test_reload_changes_names(server):
    assert reply(server, "late@example.test") == 550
    server.write(aliases="late: bob\n", more="log: {text: all}\n")
    server.reload()
    wait_until(lambda: reply(server, "late@example.test") == 250, 10, "the new alias")
    assert reply(server, "sales@example.test") == 550


def test_reload_with_a_bad_alias_file_changes_nothing(server):
    server.write(aliases="late: |/bin/sh\n")
    server.reload()
    wait_until(lambda: "would run a program" in server.stderr, 10, "the mistake")
    assert reply(server, "sales@example.test") == 250
    assert reply(server, "late@example.test") == 550


def test_account_added_while_running(server):
    assert reply(server, "new@example.test") == 550
    server.ctl("user", "add", "new@example.test", "--password-stdin", input="secret\n")
    wait_until(lambda: reply(server, "new@example.test") == 250, 10, "the new account")
    server.send("someone@elsewhere.test", "new+tag@example.test")
    server.wait_mails("new@example.test")

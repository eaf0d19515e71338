"""The operator's commands against a running server, and what they say when there is none."""
import email
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from conftest import BINARY, free_port, wait_until

LOCAL = ["--domain", "example.test", "--user", "ann@example.test:secret"]


@pytest.fixture
def held(postrider):
    """A server that tries nothing, with three messages in its queue."""
    server = postrider(*LOCAL, "--hold", submission=True)
    for sender, recipient in [("a@one.example", "ann@example.test"), ("b@two.example", "ann@example.test"),
                              ("b@two.example", "ann@example.test")]:
        server.send(sender, [recipient], content=f"Subject: to {recipient}\r\nX-Mark: here\r\n\r\nHello.\r\n")
    wait_until(lambda: len(server.queue()) == 3, what="three messages")
    return server


def ids(items):
    return [item["message"] for item in items]


def sendmail(server, *arguments, message="Subject: hello\n\nHello.\n", user=None):
    return subprocess.run([str(BINARY), "sendmail", *arguments, "--dir", str(server.dir)], input=message, capture_output=True,
                          text=True, timeout=60, user=user)


# -- queue

def test_queue_list_filters(held):
    assert len(held.queue()) == 3
    assert len(held.queue("--sender", "a@one.example")) == 1
    assert len(held.queue("--sender", "@two.example")) == 2
    assert len(held.queue("--sender", ".example")) == 3
    assert len(held.queue("--sender", "<>")) == 0
    assert len(held.queue("--recipient", "ann@example.test", "--domain", "example.test")) == 3
    assert len(held.queue("--domain", "example.org")) == 0
    assert len(held.queue("--status", "held")) == 3
    assert len(held.queue("--status", "deferred")) == 0
    assert len(held.queue("--older", "1h")) == 0
    assert len(held.queue("--newer", "1h")) == 3
    assert len(held.queue("--limit", "2")) == 2
    some = ids(held.queue())[:2]
    assert ids(held.queue(*some)) == some
    assert held.queue(some[0], "--sender", "nobody@example.org") == []


def test_queue_list_exit_codes_and_text(held):
    assert held.ctl("queue", "list", "--sender", "x@y.example", check=False).returncode == 1
    listed = held.ctl("queue", "list")
    assert "3 messages" in listed.stdout and "from a@one.example" in listed.stdout and "to ann@example.test" in listed.stdout
    assert "\x1b" not in listed.stdout
    misspelt = held.ctl("queue", "list", "--sendr", "x", check=False)
    assert misspelt.returncode == 64 and "did you mean --sender" in misspelt.stderr
    assert held.ctl("queue", "list", "--status", "stuck", check=False).returncode == 64
    assert held.ctl("queue", "list", "nonsense", check=False).returncode == 64


def test_queue_show(held):
    item = held.queue("--sender", "a@one.example")[0]
    shown = held.ctl("queue", "show", item["message"]).stdout
    for words in ("a@one.example", "ann@example.test", "X-Mark: here", "Received:", "held", "octets"):
        assert words in shown
    as_json = json.loads(held.ctl("queue", "show", "--json", item["message"]).stdout)
    assert as_json["recipients"][0]["forward_path"] == "ann@example.test"
    assert as_json["header"].endswith("\r\n\r\n") and "X-Mark: here\r\n" in as_json["header"]
    missing = held.ctl("queue", "show", "0" * 16, check=False)
    assert missing.returncode == 1 and "not in the queue" in missing.stderr
    assert held.ctl("queue", "show", check=False).returncode == 64


def test_queue_show_of_a_large_message(postrider):
    server = postrider(*LOCAL, "--hold")
    server.send("a@one.example", ["ann@example.test"], content="Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 60000)
    item = wait_until(lambda: server.queue(), what="the message")[0]
    shown = json.loads(server.ctl("queue", "show", "--json", item["message"]).stdout)
    assert "Subject: large\r\n" in shown["header"] and len(shown["header"]) < 2000


def test_queue_hold_release_remove(postrider):
    # nobody answers at the relay: everything stays, deferred
    server = postrider(*LOCAL, "--relay-to", f"127.0.0.1:{free_port()}", "--retry-min", "1h", "--relay-from", "127.0.0.0/8")
    for name in ("one", "two", "three"):
        server.send(f"{name}@example.net", ["x@example.org"])
    wait_until(lambda: len(server.queue("--status", "deferred")) == 3, what="three deferrals")
    reply = server.queue()[0]["recipients"][0]
    assert reply["state"] == "deferred" and reply["attempts"] >= 1 and reply["stage"] == "connect"
    assert "refused" in reply["reply"]
    assert "next in" in server.ctl("queue", "list").stdout

    assert server.ctl("queue", "hold", "--sender", "one@example.net").stdout.split() == ids(server.queue("--status", "held"))
    held = server.queue("--status", "held")
    assert len(held) == 1 and held[0]["held"]
    assert server.ctl("queue", "release", "--status", "held").returncode == 0
    assert server.queue("--status", "held") == []
    before = server.queue("--sender", "two@example.net")[0]["attempts"]
    server.ctl("queue", "retry", "--sender", "two@example.net")
    wait_until(lambda: server.queue("--sender", "two@example.net")[0]["attempts"] > before, what="another attempt")

    assert server.ctl("queue", "remove", check=False).returncode == 64
    assert server.ctl("queue", "remove", "--all", "--sender", "x@y.example", check=False).returncode == 64
    removed = server.ctl("queue", "remove", "--json", "--sender", "two@example.net")
    assert "message" in json.loads(removed.stdout)
    assert server.ctl("queue", "remove", "--sender", "two@example.net", check=False).returncode == 1
    # what was answered is on disk: it survives a kill of everything
    server.kill()
    server.start()
    assert sorted(item["reverse_path"] for item in server.queue()) == ["one@example.net", "three@example.net"]
    server.ctl("queue", "remove", "--all")
    assert wait_until(lambda: server.ctl("queue", "list").stdout == "the queue is empty\n", what="an empty queue")
    wait_until(lambda: len(server.events("recipient_removed")) == 3, what="an event for each")


def test_long_listing_to_a_slow_reader(postrider):
    server = postrider(*LOCAL, "--hold")
    with server.smtp() as smtp:
        for number in range(1500):
            smtp.sendmail("a@one.example", ["ann@example.test"], f"Subject: {number}\r\n\r\n")
    listing = subprocess.Popen([str(BINARY), "queue", "list", "--json", "--limit", "0", "--dir", str(server.dir)],
                               stdout=subprocess.PIPE)
    time.sleep(1)
    server.send("late@example.net", ["ann@example.test"])  # the loop serves others meanwhile
    lines = listing.stdout.read().splitlines()
    assert listing.wait(20) == 0
    assert len({json.loads(line)["message"] for line in lines}) >= 1500


def test_all_loops_are_asked(postrider):
    server = postrider(*LOCAL, "--hold", "--loops", "3")
    for number in range(30):  # a connection each, so that the kernel spreads them
        server.send(f"a{number}@one.example", ["ann@example.test"])
    items = server.queue()
    assert len(items) == 30
    status = json.loads(server.ctl("status", "--json").stdout)
    assert status["loops"] == 3 and status["messages"] == 30
    assert {os.stat(path).st_size > 0 for path in (server.dir / "spool").glob("*")} == {True}
    assert len(server.queue("--limit", "7")) == 7
    assert len(ids(server.queue(*ids(items)[:20]))) == 20
    assert server.ctl("queue", "hold", "--all").stdout.count("\n") == 30
    assert all(item["held"] for item in server.queue())
    assert len(server.ctl("queue", "remove", *ids(items)).stdout.split()) == 30
    assert server.queue() == []


# -- status

def test_status(held):
    status = json.loads(held.ctl("status", "--json").stdout)
    assert status["messages"] == 3 and status["spool"] == "ok" and status["events"]["message_received"] == 3
    text = held.ctl("status").stdout
    assert "3 messages" in text and "message_received" in text


# -- the socket itself

def control(server, line, receive=True):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    os.chdir(server.dir)
    s.connect("run/control.sock")
    s.sendall(line)
    return s, (s.makefile().readline() if receive else None)


@pytest.mark.parametrize("line, words", [
    (b"\n", "not JSON"),
    (b"GET / HTTP/1.1\r\n", "not JSON"),
    (b'{"command":"queue_remove"}\n', "which messages"),
    (b'{"command":"queue_list","filter":{"form":"x"}}\n', "unknown field"),
    (b"[" * 100000 + b"\n", "not JSON"),
    (b"x" * 300000, "too long"),
], ids=["empty", "http", "no filter", "misspelt filter", "deep", "long"])
def test_bad_requests_get_an_error(held, line, words):
    try:
        answer = control(held, line)[1]
    except (BrokenPipeError, ConnectionResetError):
        assert words == "too long"
    else:
        assert words in json.loads(answer)["error"]
    assert len(held.queue()) == 3


def test_two_requests_and_a_hang_up(held):
    s, first = control(held, b'{"command":"status"}\n{"command":"status"}\n')
    assert "item" in json.loads(first)
    s.close()
    for _ in range(300):  # more than may be open at once: hung-up ones do not count
        control(held, b'{"command":"queue_list"}\n', receive=False)[0].close()
    assert wait_until(lambda: held.ctl("status", check=False).returncode == 0, what="an answer")


def test_a_client_that_only_reads_on(held):
    s = control(held, b'{"command":"status"}\n{"command":"queue_list"}\n', receive=False)[0]
    s.shutdown(socket.SHUT_WR)
    answers = [json.loads(line) for line in s.makefile()]
    assert [sorted(answer)[0] for answer in answers] == ["item", "count"] + ["item"] * 3 + ["count"]


def test_a_client_that_reads_no_answer(held):
    """Each empty line is answered by a hundred octets: who only asks is hung up on, and costs no memory."""
    with control(held, b"\n", receive=False)[0] as s, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(1000):
            s.sendall(b"\n" * 10000)
    assert len(held.queue()) == 3


def test_no_server(tmp_path):
    for words in (["queue", "list"], ["status"], ["queue", "remove", "--all"]):
        done = subprocess.run([str(BINARY), *words, "--dir", str(tmp_path)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 69
        assert f"{tmp_path}/run/control.sock" in done.stderr and "postrider serve" in done.stderr


# -- sendmail

def received(server, address="ann@example.test"):
    return email.message_from_bytes(server.wait_mails(address)[0])


def test_sendmail_with_recipients_of_the_header(postrider):
    server = postrider(*LOCAL, "--user", "bob@example.test:secret")
    done = sendmail(server, "-t", "-i", "-f", "ann@example.test",
                    message="To: Ann <ann@example.test>\nBcc: bob@example.test\nSubject: x\n\nHello\n.\nafter the dot\n")
    assert done.returncode == 0, done.stderr
    mail = str(received(server, "bob@example.test"))
    assert mail == str(received(server)).replace("Delivered-To: ann@", "Delivered-To: bob@")
    assert "after the dot" in mail and "Bcc" not in mail and "Message-ID:" in mail and "Date:" in mail and "From:" in mail


def test_sendmail_exit_codes(postrider, tmp_path):
    server = postrider(*LOCAL)
    assert sendmail(server, "nobody@example.test").returncode == 67
    assert sendmail(server).returncode == 64
    assert sendmail(server, "-Z").returncode == 64
    assert sendmail(server, "-f", "not an address", "ann@example.test").returncode == 64
    assert sendmail(server, "-q").returncode == 0
    assert sendmail(server, "-bi").returncode == 0
    assert sendmail(server, "-odb", "-oem", "-oi", "-f", "<>", "ann@example.test").returncode == 0
    assert "Return-Path: <>" in str(received(server))
    server.stop()
    done = sendmail(server, "ann@example.test")
    assert done.returncode == 75 and "no server" in done.stderr


def test_sendmail_by_its_name_and_smtp_on_stdin(postrider, tmp_path):
    server = postrider(*LOCAL)
    link = tmp_path / "sendmail"
    link.symlink_to(BINARY)
    dialogue = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\nSubject: bs\r\n\r\nHello.\r\n.\r\nQUIT\r\n"
    done = subprocess.run([str(link), "-bs", "--dir", str(server.dir)], input=dialogue.encode(), capture_output=True, timeout=20)
    assert done.returncode == 0 and b"\r\n221 " in done.stdout, done
    assert "Subject: bs" in str(received(server))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_other_users_may_submit_and_nothing_else():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postrider-ctl-"))
    folder.chmod(0o755)
    from conftest import Postrider
    server = Postrider(folder / "data", *LOCAL)
    server.start()
    try:
        done = sendmail(server, "ann@example.test", user="nobody")
        assert done.returncode == 0, done.stderr
        assert "nobody@" in str(received(server))
        for words in (["queue", "list"], ["queue", "remove", "--all"], ["status"], ["user", "list"]):
            done = subprocess.run([str(BINARY), *words, "--dir", str(server.dir)], capture_output=True, text=True, user="nobody",
                                  timeout=20)
            assert done.returncode == 77, (words, done)
    finally:
        server.stop()
        shutil.rmtree(folder)


# -- user

def user(server, *arguments, password=None):
    return server.ctl("user", *arguments, input=password, check=False)


def signs_in(server, name, password):
    done = subprocess.run([str(BINARY), "send", "--server", f"127.0.0.1:{server.submission}", "--tls", "required", "--user", name,
                           "--password-stdin", "--from", name, "--to", "ann@example.test", "--quiet"],
                          input=password + "\n", capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 77), done.stderr
    return done.returncode == 0


def test_users_of_a_running_server(postrider):
    server = postrider(*LOCAL, submission=True)
    assert user(server, "add", "carl@example.test", "--password-stdin", password="first\n").returncode == 0
    assert user(server, "add", "carl@example.test", "--password-stdin", password="first\n").returncode == 1
    assert signs_in(server, "carl@example.test", "first") and not signs_in(server, "carl@example.test", "second")
    assert user(server, "passwd", "carl@example.test", "--password-stdin", password="second\n").returncode == 0
    assert signs_in(server, "carl@example.test", "second") and not signs_in(server, "carl@example.test", "first")
    listed = [json.loads(line) for line in user(server, "list", "--json").stdout.splitlines()]
    assert {(item["account"], item["source"]) for item in listed} == {("carl@example.test", "store"), ("ann@example.test", "configuration")}
    assert user(server, "remove", "carl@example.test").returncode == 0
    assert user(server, "remove", "carl@example.test").returncode == 1
    assert not signs_in(server, "carl@example.test", "second")
    assert user(server, "add", "no-domain", "--password-stdin", password="x\n").returncode == 65
    assert user(server, "add", "dora@example.test", "--password-stdin", password="\n").returncode == 64
    assert user(server, "add").returncode == 64


def test_users_without_a_server(postrider, tmp_path):
    def run(*words, password=None):
        return subprocess.run([str(BINARY), "user", *words, "--dir", str(tmp_path / "data")], input=password, capture_output=True, text=True, timeout=30)
    done = run("add", "carl@example.test", "--password-stdin", password="early\n")
    assert done.returncode == 0, done.stderr
    assert run("list").stdout == "carl@example.test\n"
    server = postrider(*LOCAL, folder=tmp_path / "data", submission=True)
    assert signs_in(server, "carl@example.test", "early")
    server.stop()
    assert run("remove", "carl@example.test").returncode == 0
    assert run("list").stdout == ""


# -- send

def test_send_shows_the_dialogue_and_hides_the_password(postrider):
    server = postrider(*LOCAL, submission=True)
    done = subprocess.run([str(BINARY), "send", "-s", f"127.0.0.1:{server.submission}", "--tls", "required", "-u", "ann@example.test",
                           "--password", "secret", "-f", "ann@example.test", "-t", "ann@example.test", "--subject", "Grüße", "--body", "Hällo"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("> EHLO ", "< 250", "> STARTTLS", "* TLSv1.3", "> AUTH PLAIN (hidden)", "> DATA", "< 354", "> QUIT", "< 221"):
        assert words in done.stdout
    assert "secret" not in done.stdout and "AGFub" not in done.stdout
    mail = received(server)
    assert "=?" in str(mail)


def test_send_exit_codes(postrider):
    server = postrider(*LOCAL, submission=True)

    def run(*words):
        return subprocess.run([str(BINARY), "send", "--body", "x", "--json", *words], capture_output=True, text=True, timeout=60)
    mx = ["-s", f"127.0.0.1:{server.mx}", "-f", "a@b.example"]
    assert run(*mx, "-t", "ann@example.test").returncode == 0
    refused = run(*mx, "-t", "nobody@example.test", "-t", "ann@example.test")
    assert refused.returncode == 1
    result = json.loads(refused.stdout)
    assert result["accepted_messages"] == 1 and result["recipients"][0]["status"] == "5.1.1" and result["recipients"][1]["accepted"]
    assert run("-s", f"127.0.0.1:{free_port()}", "-f", "a@b.example", "-t", "c@d.example").returncode == 69
    assert run("-s", f"127.0.0.1:{server.submission}", "-f", "a@b.example", "-t", "c@d.example", "-u", "ann@example.test", "--password",
               "wrong").returncode == 77
    assert run(*mx, "-t", "no address").returncode == 64
    assert run(*mx).returncode == 64
    assert run(*mx, "-t", "ann@example.test", "--header", "no colon").returncode == 64
    # a certificate nobody has signed
    assert run(*mx, "-t", "ann@example.test", "--tls", "required", "--verify").returncode == 69


def test_send_attachments_and_many(postrider, tmp_path):
    server = postrider(*LOCAL)
    attachment = tmp_path / "data.bin"
    attachment.write_bytes(bytes(range(256)) * 100)
    done = subprocess.run([str(BINARY), "send", "-s", f"127.0.0.1:{server.mx}", "-f", "a@b.example", "-t", "ann@example.test", "-b", "x",
                           "--attach", str(attachment), "--count", "5", "-q"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "", done
    mails = [email.message_from_bytes(mail) for mail in server.wait_mails("ann@example.test", 5)]
    assert len({mail["Message-ID"] for mail in mails}) == 5
    part = [p for p in mails[0].walk() if p.get_filename() == "data.bin"][0]
    assert part.get_payload(decode=True) == attachment.read_bytes()


def test_every_command_has_help():
    for words in (["queue"], ["user"], ["status"], ["send"], ["sendmail"], ["version"], ["queue", "list"], ["queue", "show"], ["queue", "retry"],
                  ["queue", "hold"], ["queue", "release"], ["queue", "remove"], ["user", "add"], ["user", "passwd"], ["user", "remove"], ["user", "list"]):
        done = subprocess.run([str(BINARY), *words, "--help"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and "Usage:" in done.stdout and "xample" in done.stdout, (words, done)

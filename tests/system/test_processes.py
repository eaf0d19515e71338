"""The processes of one server: start, stop, restart of a child, reload, and the faults a start can meet."""
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import time

import pytest

from conftest import BINARY, Postrider, free_port, unverified, wait_until

is_root = os.geteuid() == 0


def serve_config(folder, mx, submission=None, extra=""):
    path = pathlib.Path(folder) / "postrider.yaml"
    listeners = f"  - role: mx\n    address: 127.0.0.1:{mx}\n"
    if submission:
        listeners += f"  - role: submission\n    address: 127.0.0.1:{submission}\n"
    path.write_text(f"hostname: mx.example.test\ndir: data\nlisteners:\n{listeners}"
                    f"domains:\n  - name: example.test\n"
                    f"accounts:\n  - address: ann@example.test\n    password: secret\n"
                    f"routes:\n  - domains: '*'\n    via: capture\nspool:\n  reserve: 1M\n{extra}")
    return path


class Served(Postrider):
    """`postrider serve -c FILE` instead of `local`."""

    def __init__(self, folder, extra="", users=True):
        super().__init__(pathlib.Path(folder) / "data")
        self.submission = free_port()
        self.file = pathlib.Path(folder) / "postrider.yaml"
        if is_root and users:
            extra += "user_mta: nobody\nuser_keyring: daemon\nuser_mailbox: mail\n"
        self.extra = extra
        self.write(extra)

    def write(self, extra):
        serve_config(self.file.parent, self.mx, self.submission, extra)

    def command(self):
        return [str(BINARY), "serve", "-c", str(self.file)]


@pytest.fixture
def served(tmp_path):
    running = []
    tmp_path.chmod(0o755)

    def start(extra="", **kwargs):
        server = Served(tmp_path, extra, **kwargs)
        running.append(server)
        return server.start()
    yield start
    for server in running:
        if server.process and server.process.poll() is None:
            server.stop()


def refused(*arguments, timeout=20):
    done = subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=timeout)
    assert done.returncode != 0
    assert "ready" not in done.stdout
    return done


def test_starts_says_ready_and_stops_on_sigterm(postrider):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret")
    assert set(server.children()) == {"mta", "keyring", "mailbox"}
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert server.children() == {}


def test_a_second_start_keeps_the_data(postrider):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--hold")
    server.send("me@client.test", "ann@example.test")
    assert len(server.queue()) == 1
    server.stop()
    server.arguments.remove("--hold")
    server.start()
    assert b"Hello." in server.wait_mails("ann@example.test")[0]


def test_what_is_acknowledged_is_finished_at_a_stop(postrider):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret")
    for _ in range(30):
        server.send("me@client.test", "ann@example.test")
    assert server.stop() == 0
    server.start()
    server.wait_mails("ann@example.test", 30)
    assert server.queue() == []


def test_one_ctrl_c_that_comes_twice_stops_in_order(postrider):
    """As from ./run in a terminal: the signal of the terminal, then the script's own."""
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--sync-delay", "1s")
    client = server.smtp()
    client.ehlo()
    client.mail("me@client.test")
    client.rcpt("ann@example.test")
    client.docmd("DATA")
    client.send(b"Subject: late\r\n\r\nHello.\r\n.\r\n")
    time.sleep(0.2)
    server.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    assert client.getreply()[0] == 250
    client.close()
    assert server.wait() == 0
    assert "second signal" not in server.stderr


@pytest.mark.parametrize("role", ["keyring", "mailbox", "mta"])
def test_a_dead_child_is_restarted_and_the_rest_goes_on(postrider, role):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", submission=True)
    before = server.children()
    os.kill(before[role], signal.SIGKILL)
    wait_until(lambda: server.children().get(role) not in (None, before[role]), what="a new process")
    for other in set(before) - {role}:
        assert server.children()[other] == before[other]

    def works():
        try:
            server.send("ann@example.test", "ann@example.test", login=("ann@example.test", "secret"))
            return True
        except OSError:  # smtplib's errors are OSErrors: until the new process is ready
            return False
    wait_until(works, what="submission")
    server.wait_mails("ann@example.test")
    assert server.wait_event("process_ended", child=role)


def test_messages_survive_when_everything_is_killed(postrider):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--hold")
    server.send("me@client.test", "ann@example.test")
    server.kill()
    server.arguments.remove("--hold")
    server.start()
    assert len(server.wait_mails("ann@example.test")) == 1


def test_a_busy_port_is_named_with_its_owner(postrider, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for loops in ("1", "2"):
            done = refused("local", "--dir", str(tmp_path / "x"), "--mx", f"127.0.0.1:{port}", "--loops", loops)
            assert f"127.0.0.1:{port}" in done.stderr
            assert "in use" in done.stderr
            assert f"process {os.getpid()}" in done.stderr


def test_two_servers_on_one_folder_are_refused(postrider):
    server = postrider()
    done = refused("local", "--dir", str(server.dir), "--mx", f"127.0.0.1:{free_port()}")
    assert f"process {server.process.pid}" in done.stderr
    with server.smtp() as client:
        assert client.noop()[0] == 250


def test_a_configuration_with_mistakes_starts_nothing(tmp_path):
    file = serve_config(tmp_path, free_port(), extra="limits:\n  max_mesage_size: 5M\n")
    done = refused("serve", "-c", str(file))
    assert done.returncode == 78
    assert "max_message_size" in done.stderr
    assert f"{file.name}:" in done.stderr


def test_a_missing_configuration_file_is_named(tmp_path):
    done = refused("serve", "-c", str(tmp_path / "none.yaml"))
    assert "none.yaml" in done.stderr and "No such file" in done.stderr


@pytest.mark.parametrize("content, words", [
    (None, "No such file"),
    ("not a certificate\n", "certificate"),
])
def test_an_unusable_certificate_is_named(tmp_path, content, words):
    if content:
        (tmp_path / "cert.pem").write_text(content)
    file = serve_config(tmp_path, free_port(), extra="tls:\n  certificate: cert.pem\n"
                        + ("user_mta: nobody\nuser_keyring: daemon\nuser_mailbox: mail\n" if is_root else ""))
    done = refused("serve", "-c", str(file))
    assert "cert" in done.stderr and words in done.stderr


def test_a_misspelt_option_gets_the_nearest():
    done = refused("local", "--submision", "127.0.0.1:2587")
    assert done.returncode == 64
    assert "--submission" in done.stderr


def test_a_misspelt_command_gets_the_nearest():
    done = refused("locl")
    assert done.returncode == 64
    assert "local" in done.stderr


def test_reload_changes_options_and_drops_no_session(served):
    server = served("limits:\n  max_message_size: 1M\n")
    client = server.smtp()
    client.ehlo()
    assert client.esmtp_features["size"] == str(1 << 20)
    server.write("limits:\n  max_message_size: 2M\n" + server.extra.partition("limits:\n  max_message_size: 1M\n")[2])
    server.reload()
    server.wait_event("config_loaded")

    def announced():
        with server.smtp() as new:
            new.ehlo()
            return new.esmtp_features["size"] == str(2 << 20)
    wait_until(announced, what="the new size is announced")
    assert client.noop()[0] == 250  # the old session lives
    client.sendmail("me@client.test", ["ann@example.test"], "Subject: x\r\n\r\nx\r\n")
    client.quit()
    server.wait_mails("ann@example.test")


def test_a_reload_with_mistakes_keeps_the_old_configuration(served):
    server = served()
    server.write(server.extra + "limits:\n  nonsense: 1\n")
    server.reload()
    event = server.wait_event("config_refused")
    assert "nonsense" in event["text"]
    server.send("me@client.test", "ann@example.test")
    server.wait_mails("ann@example.test")


def test_reload_takes_new_certificates(served, tmp_path):
    def make(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "30", "-subj", f"/CN={name}", "-keyout", tmp_path / "key.pem", "-out",
                        tmp_path / "cert.pem"], check=True, capture_output=True)

    def subject(server):
        with server.smtp(server.submission) as client:
            client.starttls(context=unverified())
            der = client.sock.getpeercert(binary_form=True)
        done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True)
        return done.stdout.decode()
    make("first.test")
    server = served("tls:\n  certificate: cert.pem\n  key: key.pem\n")
    assert "first.test" in subject(server)
    make("second.test")
    server.reload()
    wait_until(lambda: "second.test" in subject(server), what="the new certificate")


@pytest.mark.skipif(not is_root, reason="only root can drop to other users")
def test_children_run_as_their_users(served):
    server = served()
    users = {}
    for role, pid in server.children().items():
        users[role] = pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        if "asan" not in str(BINARY) and "tsan" not in str(BINARY):
            assert "Seccomp:\t2" in status
    assert users == {"mta": "nobody", "keyring": "daemon", "mailbox": "mail"}
    server.send("ann@example.test", ["ann@example.test", "bob@outside.test"], login=("ann@example.test", "secret"))
    server.wait_mails("ann@example.test")
    wait_until(server.captured, what="the captured message")
    assert (server.dir / "spool").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@pytest.mark.skipif(not is_root, reason="only root can drop to other users")
def test_a_missing_system_user_is_named_with_the_command_that_makes_it(tmp_path):
    file = serve_config(tmp_path, free_port(), extra="user_mta: no-such-user\n")
    done = refused("serve", "-c", str(file))
    assert "no-such-user" in done.stderr and "useradd" in done.stderr


@pytest.mark.skipif(not is_root, reason="only root can give folders away")
def test_a_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/spool").mkdir()
    os.chown(tmp_path / "data/spool", 4242, 4242)
    done = refused("local", "--dir", str(tmp_path / "data"), "--mx", f"127.0.0.1:{free_port()}")
    assert "spool" in done.stderr and "4242" in done.stderr and "chown" in done.stderr


def test_the_loss_of_the_supervisor_ends_the_children(postrider):
    server = postrider()
    children = server.children()
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() and "Z" not in
                               pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
                               for pid in children.values()), what="the children end")
    server.start()
    with server.smtp() as client:
        assert client.noop()[0] == 250


def test_a_listener_renamed_by_a_reload_keeps_its_role_when_mta_is_restarted(served):
    server = served()
    text = server.file.read_text()
    server.file.write_text(text.replace("- role: submission\n", "- role: submission\n    name: other\n"))
    server.reload()
    server.wait_event("config_loaded")
    before = server.children()["mta"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: server.children().get("mta") not in (None, before), what="a new mta")

    def wants_sign_in():
        try:
            with server.smtp(server.submission) as client:
                client.ehlo()
                return client.mail("me@client.test")[0] == 530
        except OSError:
            return False
    wait_until(wants_sign_in, what="the submission port asks for sign-in")

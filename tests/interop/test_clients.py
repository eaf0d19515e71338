"""Programs that people send with, against our submission and MX ports: swaks, msmtp, curl, smtplib, Python's own TLS."""
import email
import smtplib
import ssl
import subprocess

import pytest

from conftest import unverified, wait_until
from peers import program

CONTENT = "From: ann@here.test\nTo: bob@here.test\nSubject: {}\n\nHello.\n.a dot\n"


@pytest.fixture
def server(postrider):
    return postrider("--user", "ann@here.test:secret word", "--user", "bob@here.test:other", submission=True, smtps=True)


def run(*command, input=None):
    return subprocess.run([str(c) for c in command], input=input, capture_output=True, text=True, timeout=60)


def arrived(server, subject):
    mail = wait_until(lambda: [m for m in server.mails("bob@here.test") if f"Subject: {subject}".encode() in m], what=subject)
    assert len(mail) == 1
    return email.message_from_bytes(mail[0])


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", ["starttls", "tls at once"])
def test_swaks(server, mechanism, tls):
    subject = f"swaks {mechanism} {tls}"
    way = ["--tls-on-connect", "--port", server.smtps] if tls == "tls at once" else ["--tls", "--port", server.submission]
    done = run(program("swaks"), "--server", "127.0.0.1", *way, "--auth", mechanism, "--auth-user", "ann@here.test", "--auth-password",
               "secret word", "--from", "ann@here.test", "--to", "bob@here.test", "--header", f"Subject: {subject}")
    assert done.returncode == 0, done.stdout + done.stderr
    arrived(server, subject)


def test_swaks_with_a_wrong_password(server):
    done = run(program("swaks"), "--server", "127.0.0.1", "--port", server.submission, "--tls", "--auth", "PLAIN", "--auth-user",
               "ann@here.test", "--auth-password", "wrong", "--from", "ann@here.test", "--to", "bob@here.test")
    assert done.returncode == 28 and "535 5.7.8" in done.stdout
    assert not server.mails("bob@here.test")


def test_swaks_pipelined(server):
    done = run(program("swaks"), "--server", "127.0.0.1", "--port", server.mx, "--pipeline", "--from", "x@there.test", "--to",
               "bob@here.test,ann@here.test", "--header", "Subject: pipelined")
    assert done.returncode == 0, done.stdout + done.stderr
    arrived(server, "pipelined")


def test_msmtp(server, tmp_path):
    for tls, port in (("on", server.smtps), ("off", server.submission)):
        configuration = tmp_path / f"msmtp-{tls}"
        configuration.write_text(f"""
account default
host 127.0.0.1
port {port}
tls on
tls_starttls {'off' if tls == 'on' else 'on'}
tls_certcheck off
auth on
user ann@here.test
password "secret word"
from ann@here.test
""")
        configuration.chmod(0o600)
        done = run(program("msmtp"), "-C", configuration, "bob@here.test", input=CONTENT.format(f"msmtp {tls}"))
        assert done.returncode == 0, done.stderr
        assert arrived(server, f"msmtp {tls}").get_payload().endswith("Hello.\n.a dot\n")


def test_msmtp_tells_why_not(server, tmp_path):
    configuration = tmp_path / "msmtp"
    configuration.write_text(f"account default\nhost 127.0.0.1\nport {server.mx}\nfrom x@there.test\n")
    done = run(program("msmtp"), "-C", configuration, "nobody@here.test", input=CONTENT.format("unknown"))
    assert done.returncode != 0 and "550 5.1.1" in done.stderr


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl(server, tmp_path, scheme):
    mail = tmp_path / "mail"
    mail.write_bytes(CONTENT.format(f"curl {scheme}").replace("\n", "\r\n").encode())
    port = server.smtps if scheme == "smtps" else server.submission
    done = run(program("curl"), "-sS", "--insecure", "--ssl-reqd", f"{scheme}://127.0.0.1:{port}/client.test", "--user", "ann@here.test:secret word",
               "--mail-from", "ann@here.test", "--mail-rcpt", "bob@here.test", "--upload-file", mail)
    assert done.returncode == 0, done.stderr
    arrived(server, f"curl {scheme}")


def test_smtplib_many_in_one_session(server):
    with server.smtp(server.submission) as client:
        client.starttls(context=unverified())
        client.login("ann@here.test", "secret word")
        for i in range(50):
            client.sendmail("ann@here.test", ["bob@here.test"], CONTENT.format(i))
    assert len(server.wait_mails("bob@here.test", 50, timeout=30)) == 50


def test_smtplib_over_tls_at_once(server):
    with smtplib.SMTP_SSL("127.0.0.1", server.smtps, context=unverified(), timeout=20) as client:
        client.login("ann@here.test", "secret word")
        client.sendmail("ann@here.test", ["bob@here.test"], CONTENT.format("ssl"))
    assert arrived(server, "ssl")["Return-Path"] == "<ann@here.test>"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(server, version):
    context = unverified()
    context.minimum_version = context.maximum_version = version
    with server.smtp(server.submission) as client:
        client.starttls(context=context)
        client.login("ann@here.test", "secret word")
        client.sendmail("ann@here.test", ["bob@here.test"], CONTENT.format(version.name))
    assert arrived(server, version.name)["Received"]


def test_old_tls_is_refused(server):
    context = unverified()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with server.smtp(server.submission) as client, pytest.raises((ssl.SSLError, OSError, smtplib.SMTPException)):
        client.starttls(context=context)


def test_no_sign_in_without_tls(server):
    with server.smtp(server.submission) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        code, text = client.docmd("AUTH", "PLAIN AGFubkBoZXJlLnRlc3QAc2VjcmV0IHdvcmQ=")
        assert code in (503, 530, 538), text

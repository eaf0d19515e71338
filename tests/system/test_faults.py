"""A full disk, memory after a burst, many messages: clear answers, nothing lost, nothing leaked."""
import os
import pathlib
import smtplib
import subprocess
import time

import pytest

from conftest import BINARY, wait_until

sanitized = "asan" in str(BINARY) or "tsan" in str(BINARY)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder]).returncode:
        pytest.skip("needs root to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder, leave):
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    ballast = folder / "ballast"
    with open(ballast, "wb") as f:
        f.write(b"x" * max(0, free - leave))
    return ballast


def try_send(server, content):
    try:
        server.send("me@client.test", "ann@example.test", content)
        return 250
    except smtplib.SMTPResponseException as e:
        return e.smtp_code


def test_a_full_disk_gives_452_and_loses_nothing(postrider, small_disk):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", "--hold", folder=small_disk / "dir")
    big = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 10000
    acknowledged = 0
    for _ in range(400):
        code = try_send(server, big)
        if code == 250:
            acknowledged += 1
        else:
            assert code in (452, 451), code
            if code == 452:
                break
    assert code == 452, "the disk never got full"
    assert acknowledged > 0
    assert server.wait_event("spool_full")
    assert len(server.queue("--limit", "1000")) == acknowledged
    server.kill()
    server.start()
    assert len(server.queue("--limit", "1000")) == acknowledged


def test_space_that_comes_back_is_used(postrider, small_disk):
    server = postrider("--domain", "example.test", "--user", "ann@example.test:secret", folder=small_disk / "dir")
    server.send("me@client.test", "ann@example.test")
    server.wait_mails("ann@example.test")
    ballast = fill(small_disk, 2 << 20)
    wait_until(lambda: try_send(server, "Subject: x\r\n\r\nx\r\n") == 452, what="452")
    ballast.unlink()
    wait_until(lambda: try_send(server, "Subject: x\r\n\r\nx\r\n") == 250, what="250 again")


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def load(server, messages, sessions=20, size=4096):
    subprocess.run(["smtp-source", "-d", "-s", str(sessions), "-l", str(size), "-m", str(messages), "-f", "me@client.test",
                    "-t", "bob@outside.test", f"127.0.0.1:{server.mx}"], check=True, stdout=subprocess.DEVNULL)


def test_ten_thousand_messages_and_no_leak(postrider):
    """Under ASan the leak check runs when the processes end (the fixture looks at their words)."""
    server = postrider("--relay-from", "127.0.0.0/8", "--domain", "example.test", "--user", "ann@example.test:secret")
    load(server, 10000)
    wait_until(lambda: server.queue("--limit", "1") == [], 120, "the queue drains")
    assert server.stop(60) == 0
    assert "LeakSanitizer" not in server.stderr


@pytest.mark.skipif(sanitized, reason="sanitizers keep freed memory")
def test_memory_after_a_burst_returns(postrider):
    server = postrider("--relay-from", "127.0.0.0/8", "--relay-to", "127.0.0.1:9", "--retry-min", "1h", "--retry-max", "1h")
    mta = server.children()["mta"]
    load(server, 500)
    time.sleep(1)
    before = resident_kib(mta)
    load(server, 10000, size=8192)
    peak = resident_kib(mta)
    server.ctl("queue", "remove", "--all")
    wait_until(lambda: server.queue("--limit", "1") == [], 60, "removed")
    wait_until(lambda: resident_kib(mta) < before + 16 * 1024, 30, f"memory returns ({before} before, {peak} at the peak)")

"""./run, as a newcomer calls it."""
import os
import subprocess

import pytest

from conftest import BINARY, ROOT, free_port

pytestmark = pytest.mark.skipif(BINARY != ROOT / "build" / "postrider", reason="./run starts build/postrider")


def run(*arguments, cwd):
    return subprocess.run([str(ROOT / "run"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)


def test_once_shows_both_messages_and_keeps_the_data(tmp_path):
    ports = ",".join(str(free_port()) for _ in range(3))
    for count in (1, 2):
        done = run("--once", "--dir", "my demo", "--ports", ports, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "It arrived" in done.stdout and "captured instead of sent" in done.stdout
        assert len(os.listdir(tmp_path / "my demo/mail/postrider.test/demo/new")) == count
        assert len(os.listdir(tmp_path / "my demo/mail/captured/outside/new")) == count


def test_once_fails_when_the_server_cannot_start(tmp_path):
    done = run("--once", "--dir", str(tmp_path), "--ports", "1,2,3", "--", "--nonsense", cwd=tmp_path)
    assert done.returncode != 0
    assert "--nonsense" in done.stderr


def test_a_misspelt_argument_is_named(tmp_path):
    done = run("--onc", cwd=tmp_path)
    assert done.returncode == 64 and "--onc" in done.stderr

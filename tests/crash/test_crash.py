"""A short run of crash.py; 100 rounds and more: tests/crash/crash.py --rounds 100."""
import time

import pytest

import crash


@pytest.mark.parametrize("loops", [1, 2])
def test_no_acknowledged_message_is_lost_by_kills(tmp_path, loops):
    seed = int(time.time()) + loops
    acknowledged, lost, duplicates, unexplained = crash.run(8, seed, folder=tmp_path, arguments=("--loops", str(loops)))
    assert acknowledged > 200, f"hardly any load, seed {seed}"
    assert lost == [], f"seed {seed}"
    assert unexplained == [], f"seed {seed}: {duplicates}"

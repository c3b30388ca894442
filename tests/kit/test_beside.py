"""Temporary files: what a killed process left goes, what a live one writes stays."""

import subprocess
import sys

from hqdm.kit.beside import fresh

HOLD = """
import sys
from pathlib import Path
from hqdm.kit.beside import fresh
with fresh(Path(sys.argv[1])) as temporary:
    print(temporary, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_goes(tmp_path):
    target, other = tmp_path / "x", tmp_path / "y"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        left = tmp_path / process.stdout.readline().strip()
        with fresh(target) as temporary:
            assert left.exists() and temporary != left
        process.kill()
        process.wait()
        with fresh(other):
            assert left.exists()        # of another file: it may be anyone's
        with fresh(target) as temporary:
            assert not left.exists() and list(tmp_path.iterdir()) == [temporary]
    assert not list(tmp_path.iterdir())

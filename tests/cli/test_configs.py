"""`hqdm configs`."""

import json

from hqdm.cli.main import main
from hqdm.spec import PRESETS


def run(capsys, *arguments):
    """Exit status, stdout and the lines of stderr."""
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err.splitlines()


def test_configs(capsys):
    status, out, _ = run(capsys, "configs", "--json")
    assert status == 0 and list(json.loads(out)) == list(PRESETS)
    status, out, _ = run(capsys, "configs")
    assert status == 0 and all(name in out for name in PRESETS)

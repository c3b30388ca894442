"""`hqdm configs`."""

import json

from hqdm.spec import PRESETS
from tests.commands import command

run = command()


def test_configs(capsys):
    status, out, _ = run(capsys, "configs", "--json")
    assert status == 0 and list(json.loads(out)) == list(PRESETS)
    status, out, _ = run(capsys, "configs")
    assert status == 0 and all(name in out for name in PRESETS)

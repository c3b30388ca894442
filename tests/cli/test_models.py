"""`hqdm models`."""

import json

from hqdm.cli.main import main
from hqdm.learn.diffusion.presets import AUTOENCODERS, UNETS


def test_lists_every_preset(capsys):
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows) == {f"unet {n}" for n in UNETS} | {
        f"{part} {n}" for n in AUTOENCODERS for part in ("encoder", "decoder")}
    row = rows["unet cifar10"]
    assert row["macs"] == row["conv"] + row["linear"] + row["attention"] <= 200e6
    assert main(["models"]) == 0
    assert "cifar10" in capsys.readouterr().out

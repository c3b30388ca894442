"""`bench.sensitivity` on the tiny network: what differs less is nearer; table, picture, errors."""

import json

from PIL import Image

from bench.sensitivity import main


def test_table_and_picture(quantised, tmp_path, capsys):
    out = tmp_path / "sensitivity.png"
    assert main(["--model", str(quantised.file), "-o", str(out), "--images", "1"]) == 0
    rows = json.loads(out.with_suffix(".json").read_text())[quantised.file.stem]
    assert {len(row) for row in rows.values()} == {5}
    means = {label: sum(row) / len(row) for label, row in rows.items()}
    assert means["latent changed by 1e-03"] > means["latent changed by 1e-05"]
    assert means["carriers of 16 bits"] > means["carriers of 24 bits"]
    assert 0 < means["integers"] < 0.01
    printed = capsys.readouterr().out
    assert f"| integers | {1 - means['integers']:.5f} |" in printed
    with Image.open(out) as picture:
        assert picture.size == (605, 495)


def test_errors_are_one_line(files, tmp_path, capsys):
    out = ["-o", str(tmp_path / "sensitivity.png")]
    for arguments, message in (
            (["--model", str(tmp_path / "none.safetensors")], "none.safetensors"),
            (["--model", str(files.unet)], "quantised"), (["--images", "0"], "got 0")):
        assert main([*arguments, *out]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())

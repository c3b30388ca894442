"""`hqdm verilog`: a preset or the file of a configuration."""

import json
from dataclasses import asdict
from hashlib import sha256

from hqdm.cli.main import main
from hqdm.spec import PRESETS


def test_a_file_makes_the_same_core_as_its_preset(capsys, tmp_path):
    (tmp_path / "n4.json").write_text(json.dumps(asdict(PRESETS["n4"])))
    for config in ("n4", str(tmp_path / "n4.json")):
        output = tmp_path / f"{len(config)}.v"
        assert main(["verilog", "--config", config, "-o", str(output), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["output"] == str(output) and said["config"]["name"] == "n4"
        assert said["verilog_sha256"] == sha256(output.read_bytes()).hexdigest()
        described = json.loads((tmp_path / f"{output.name}.json").read_text())
        assert described["verilog_sha256"] == said["verilog_sha256"] and described["registers"]
    assert len({path.read_text() for path in tmp_path.glob("*.v")}) == 1

"""`hqdm layer` on the RTL: equal to golden, fast enough, and every cycle accounted for."""

import json

import pytest

from hqdm.cli.main import main
from hqdm.sim.compare_layer import compare_layer, make_layer
from hqdm.sim.transport import VerilatedTransport
from hqdm.spec import config_by_name

ISSUE = ("--config n16 --op conv3x3 --channels 64 64 --size 32 32 --act-bits 4 --weight-bits 4 "
         "--rotate width --order 5 --stride 1 --upsample 1 --timestep 7 --timesteps 20 "
         "--memory-latency 40 --seed 1")
SMALL = ("--config n4 --op conv1x1 --channels 5 7 --channels2 3 --size 6 5 --act-bits 8 "
         "--weight-bits 8 --rotate none --residual subtract --upsample 2 --stride 2")


def layer(capsys: pytest.CaptureFixture[str], arguments: str) -> dict:
    assert main(["layer", *arguments.split(), "--json"]) == 0
    captured = capsys.readouterr()
    assert not captured.err
    return json.loads(captured.out)


@pytest.mark.parametrize("arguments", [ISSUE, SMALL])
def test_equal_and_accounted_for(capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    result = layer(capsys, arguments)
    assert result["mismatches"] == 0 and result["outputs"] > 0
    assert result["busy"] + sum(result["stalls"].values()) == result["cycles"]
    assert result["cycles_per_second"] > 0


def test_utilization(capsys: pytest.CaptureFixture[str]) -> None:
    result = layer(capsys, ISSUE)
    print(result)
    assert result["utilization"] >= 0.98
    assert abs(result["estimated_cycles"] / result["cycles"] - 1) < 0.02


def test_the_same_cycles_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert layer(capsys, SMALL)["cycles"] == layer(capsys, SMALL)["cycles"]


def test_memory_latency_costs_cycles(capsys: pytest.CaptureFixture[str]) -> None:
    fast, slow = (layer(capsys, f"{SMALL} --memory-latency {n}")["cycles"] for n in (1, 400))
    assert fast + 400 < slow


def test_memory_bounds() -> None:
    with (VerilatedTransport(config_by_name("n4"), 64) as transport,
          pytest.raises(ValueError, match="wanted a range within 64 bytes, got 8 bytes at 0x3c")):
        transport.read_memory(60, 8)


def test_a_memory_that_begins_elsewhere() -> None:
    """Programs are compiled for the base: nothing is written below it."""
    config, base = config_by_name("n4"), 1 << 20
    layer = make_layer(op="conv3x3", channels=(6, 4), out_channels=5, height=5, width=4,
                       residual="add", timesteps=2)
    with VerilatedTransport(config, 2 * base) as transport:
        transport.memory_base, transport.memory_bytes = base, base
        result = compare_layer(layer, config, timestep=1, transport=transport)
        assert not transport.device.memory[:base].any()
    assert result["mismatches"] == 0 and result["cycles"] > 0

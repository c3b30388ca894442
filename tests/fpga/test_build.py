"""Real builds of tiny designs: counts, units, clock rates, what does not fit, resuming."""

import pytest

from hqdm.fpga import place
from hqdm.fpga.build import Options, build, clock_rates, hadamard_share
from hqdm.fpga.devices import DEVICES
from tests.fpga.designs import Counter, Pair, Product, Products, design

SMALL = DEVICES["ecp5-25k"]


@pytest.fixture(scope="module")
def pair(cache):
    return build(design(Pair()), SMALL, Options(seeds=(1, 2)), cache=cache)


def test_counts_by_unit(pair):
    assert pair["fits"] and pair["flow"] == "placed and routed, out of context"
    # two bits are in both factors
    assert (pair["ff"], pair["dsp"], pair["bram"]) == (16 + 36 - 2, 1, 0)
    assert pair["units"]["counter"]["ff"] == 16 and pair["units"]["product"]["dsp"] == 1
    assert pair["units"]["counter"]["carry"] >= 8
    for column in ("lut4", "carry", "ff", "dsp", "bram"):
        assert pair[column] == sum(row[column] for row in pair["units"].values())


def test_lut4_is_what_nextpnr_occupies(pair, cache):
    """The counts by unit, of the packed netlist, add up to those of the finished run's report."""
    reports = list(cache.glob("routed-*/report.json"))
    assert len(reports) == 2
    for report in reports:
        used = place.read_report(report.read_bytes())["used"]
        assert used["TRELLIS_COMB"] == pair["lut4"] and used["TRELLIS_FF"] == pair["ff"]
        assert used["MULT18X18D"] == pair["dsp"]


def test_units_are_those_of_the_units_alone(pair, cache):
    for name, component in (("counter", Counter()), ("product", Product())):
        alone = build(design(component), SMALL, Options(seeds=()), cache=cache)
        assert alone["flow"] == "packed" and alone["fmax_mhz_median"] is None
        for column in ("lut4", "carry", "ff", "dsp"):
            assert abs(pair["units"].get(name, {})[column] - alone[column]) <= 2


def test_clock_rates(pair):
    rates = pair["fmax_mhz"]
    assert set(rates) == {"1", "2"} and min(rates.values()) > 100
    assert pair["fmax_mhz_best"] == max(rates.values())
    assert pair["fmax_mhz_median"] == pytest.approx(sum(rates.values()) / 2, abs=0.01)
    path = pair["critical_path"]
    period = 1000 / pair["fmax_mhz_best"]
    assert path["logic_ns"] + path["routing_ns"] == pytest.approx(period, abs=0.05)
    assert any(unit in net for net in path["nets"] for unit in ("counter", "product"))


def test_the_other_router(pair, cache):
    other = build(design(Pair()), SMALL, Options(seeds=(1,), router="router2"), cache=cache)
    assert (pair["router"], other["router"]) == ("router1", "router2")
    assert other["lut4"] == pair["lut4"] and other["fmax_mhz_median"] > 100
    logs = [path.read_text() for path in cache.glob("routed-*/nextpnr.log")]
    assert sum("Router2 time" in log for log in logs) == 1


@pytest.mark.parametrize(("line", "doing"), [
    ("Info: Routing globals...", "routing"),
    ("Info:     140000 |    36063      99721 |   55   758 |       592|       1.00     165.35|",
     "routing, 592 arcs left"),
    ("Info:     139000 |    36063      99721 |   55   758 |       592|       1.00     165.35|",
     None),
    ("Info:     iter=3 wires=92134 overused=1204 overuse=1300 tmgfail=0 archfail=0",
     "routing, 1,204 overused")])
def test_progress_of_nextpnr(line, doing):
    assert place.doing_now(line) == doing


def test_too_large(cache):
    result = build(design(Products()), SMALL, Options(), cache=cache)
    assert not result["fits"] and result["shortage"] == ["29 dsp of 28"]
    assert result["fmax_mhz_median"] is None and result["dsp"] == 29


def test_products_of_luts(cache):
    result = build(design(Product()), SMALL, Options(seeds=(), use_dsp=False), cache=cache)
    assert result["dsp"] == 0 and result["lut4"] > 60


def test_ultrascale_is_synthesised_only(cache):
    result = build(design(Pair()), DEVICES["xcup"], Options(), cache=cache)
    assert result["flow"] == "synthesis only" and result["fmax_mhz_median"] is None
    assert result["units"]["product"]["dsp"] == 1 and result["units"]["counter"]["ff"] == 16
    assert result["units"]["counter"]["carry"] == 4 and "lut4" not in result


def test_finished_steps_are_kept(pair, cache, monkeypatch):
    """The second time nothing runs; a new seed runs nextpnr once."""
    calls = []
    original = place.Tools.run

    def run(self, tool, *arguments):
        calls.append(tool)
        return original(self, tool, *arguments)

    monkeypatch.setattr("hqdm.fpga.tools.Tools.run", run)
    assert build(design(Pair()), SMALL, Options(seeds=(1, 2)), cache=cache) == pair
    assert not calls
    more = build(design(Pair()), SMALL, Options(seeds=(1, 2, 3)), cache=cache)
    assert calls == [place.NEXTPNR] and set(more["fmax_mhz"]) == {"1", "2", "3"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted(cache, tmp_path, monkeypatch, error):
    """Ctrl-C or a failure in the second seed: the first stays, nothing half-written does."""
    original = place.Tools.run

    def run(self, tool, arguments, folder, *listen):
        if "--seed" in arguments and arguments[arguments.index("--seed") + 1] == "2":
            (folder / "report.json").write_text("{")
            raise error("stopped")
        return original(self, tool, arguments, folder, *listen)

    with monkeypatch.context() as patch:
        patch.setattr("hqdm.fpga.tools.Tools.run", run)
        with pytest.raises(error):
            build(design(Counter()), SMALL, Options(seeds=(1, 2)), cache=tmp_path)
    routed = [path for path in tmp_path.glob("routed-*") if path.is_dir()]
    assert len(routed) == 1 and "seed1" in routed[0].name
    assert len(build(design(Counter()), SMALL, Options(seeds=(1, 2)),
                     cache=tmp_path)["fmax_mhz"]) == 2


def test_median_and_best():
    results = {seed: {"fmax_mhz": rate, "critical_path": {"from": seed}}
               for seed, rate in ((1, 90.0), (2, 130.0), (5, 100.0), (9, 101.0))}
    found = clock_rates(results)
    assert (found["fmax_mhz_median"], found["fmax_mhz_best"]) == (100.5, 130.0)
    assert found["fmax_mhz"] == {"1": 90.0, "2": 130.0, "5": 100.0, "9": 101.0}
    assert found["critical_path"] == {"from": 2}


def test_hadamard_share():
    row = {"lut4": 10, "dsp": 0}
    units = {"load.rotate": row, "load.rotate_back": {"lut4": 20, "dsp": 0},
             "multiply.array": {"lut4": 40, "dsp": 8}}
    share = hadamard_share(units)
    assert share["hadamard"] == {"lut4": 30, "dsp": 0} and share["lut4_of_array"] == 0.75
    assert hadamard_share({"load.rotate": row}) is None


def test_no_path():
    with pytest.raises(ValueError, match="wanted a path between flip-flops"):
        place.read_report('{"fmax": {}, "critical_paths": [], "utilization": {}}')

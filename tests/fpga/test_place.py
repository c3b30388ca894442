"""What is read from a report of nextpnr, without nextpnr."""

import json

from hqdm.fpga.place import doing_now, read_report


def step(kind, delay, to="core.a_LUT4_Z"):
    return {"type": kind, "delay": delay, "to": {"cell": to}}


def report(fmax, paths=()):
    return json.dumps({
        "fmax": {clock: {"achieved": rate, "constraint": 12.0} for clock, rate in fmax.items()},
        "critical_paths": list(paths),
        "utilization": {"TRELLIS_COMB": {"used": 7, "available": 9},
                        "DP16KD": {"used": 0, "available": 5}}})


def test_the_clock_rate_is_that_of_the_slowest_clock():
    for rates in ((120.004, 80.126), (80.126, 120.004)):
        found = read_report(report(dict(zip(("one", "two"), rates, strict=True))))
        assert found == {"fmax_mhz": 80.13, "critical_path": {}, "used": {"TRELLIS_COMB": 7}}


def test_the_critical_path_is_the_slowest_between_flip_flops():
    path = [step("clk-to-q", 0.5, "a_TRELLIS_FF_Q"), step("routing", 2.25, "b_LUT4_Z_1"),
            step("logic", 0.25, "b_LUT4_Z"), step("routing", 1.5, "$nextpnr_CCU2C_1"),
            step("setup", 0.125, "c.d_TRELLIS_FF_Q")]
    faster = [step("clk-to-q", 4.5)]
    outside = [step("routing", 99.0)]
    found = read_report(report({"clk": 100.0}, [
        {"from": "posedge clk", "to": "posedge clk", "path": faster},
        {"from": "posedge clk", "to": "posedge clk", "path": path},
        {"from": "<async>", "to": "posedge clk", "path": outside},
        {"from": "posedge clk", "to": "<async>", "path": outside}]))["critical_path"]
    assert found == {"logic_ns": 0.88, "routing_ns": 3.75, "nets": ["a", "b", "c.d"]}


def test_what_nextpnr_does():
    assert doing_now("Info: Routing globals...") == "routing"
    assert doing_now("Info:    20000 |   100  200 |  5 6 |      1234| 0.1 0.2|") == (
        "routing, 1,234 arcs left")
    assert doing_now("Info:     iter=3 wires=5 overused=1007 overuse=2 archfail=0") == (
        "routing, 1,007 overused")
    assert doing_now("Info: Checksum: 0x1") is None

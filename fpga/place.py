"""Placing and routing one netlist with one seed, kept in the build cache."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hqdm.fpga.area import UNPLACED
from hqdm.fpga.devices import ROUTERS, Device
from hqdm.fpga.synthesis import Netlist
from hqdm.fpga.tools import NEXTPNR, Tools, tool_version
from hqdm.kit.cache import build_once, content_hash

# lines of nextpnr's log, and what it does from there on
STAGES = {"Packing constants": "packing", "Running main analytical placer": "placing",
          "Routing globals": "routing", "Program finished": "done"}
# how far routing is: every 20,000 steps of router1, every iteration of router2
LEFT = re.compile(r"\b\d*[02468]0000 \|.*?\| +(\d+)\||iter=\d+ .*overused=(\d+) ")
Progress = Callable[[str, str], None]


def critical_path(report: dict[str, Any]) -> dict[str, Any]:
    """The slowest path between flip-flops of nextpnr's report: delays, and the nets it passes.

    Yosys names a cell after a net and its way from there; only the net is kept.
    """
    paths = [path for path in report["critical_paths"]
             if not {"<async>"} & {path["from"], path["to"]}]
    if not paths:
        return {}
    steps = max(paths, key=lambda path: sum(step["delay"] for step in path["path"]))["path"]
    logic = sum(step["delay"] for step in steps if step["type"] != "routing")
    total = sum(step["delay"] for step in steps)
    nets = [re.split(r"_(?:LUT\d|CCU2C|PFUMX|L6MUX21|TRELLIS_)", step["to"]["cell"])[0]
            for step in steps]
    return {"logic_ns": round(logic, 2), "routing_ns": round(total - logic, 2),
            "nets": [net for net in dict.fromkeys(nets) if not net.startswith("$nextpnr")]}


def read_report(text: bytes | str) -> dict[str, Any]:
    """Clock rate, critical path and use of the device of a nextpnr report.

    Raises
    ------
    ValueError: the design has no path between flip-flops.
    """
    report = json.loads(text)
    if not report["fmax"]:
        raise ValueError("clock rate: wanted a path between flip-flops, found none")
    return {"fmax_mhz": round(min(f["achieved"] for f in report["fmax"].values()), 2),
            "critical_path": critical_path(report),
            "used": {k: v["used"] for k, v in report["utilization"].items() if v["used"]}}


def doing_now(line: str) -> str | None:
    """What nextpnr does from this line of its log on, if the line says so."""
    for begin, doing in STAGES.items():
        if begin in line:
            return doing
    if left := LEFT.search(line):
        arcs, wires = left.groups()
        return f"routing, {int(arcs):,} arcs left" if arcs else f"routing, {int(wires):,} overused"
    return None


def place_and_route(netlist: Netlist, device: Device, tools: Tools, *, seed: int, speed: int,
                    clock: float, router: str = ROUTERS[0],
                    progress: Progress = lambda step, doing: None,
                    cache: Path | None = None) -> dict[str, Any]:
    """`read_report` of one run of nextpnr, out of context.

    Parameters
    ----------
    clock: MHz to aim at; a slower result is no error.
    router: of nextpnr.
    """
    arguments = [device.flag, "--package", device.package, "--speed", str(speed), "--freq",
                 f"{clock:g}", "--seed", str(seed), "--timing-allow-fail", *UNPLACED]
    if router != ROUTERS[0]:        # nextpnr's own choice
        arguments += ["--router", router]
    key = content_hash(netlist.sha256, *arguments, tool_version(NEXTPNR))
    name = f"seed {seed}"

    def make(folder: Path) -> None:
        (folder / "netlist.json").write_bytes(netlist.text)

        def listen(line: str) -> None:
            if doing := doing_now(line):
                progress(name, doing)

        lines = tools.run(NEXTPNR, [*arguments, "--json", "netlist.json", "--report",
                                    "report.json"], folder, listen)
        (folder / "netlist.json").unlink()
        (folder / "nextpnr.log").write_text("\n".join(lines) + "\n", encoding="utf-8")

    folder = build_once(f"routed-{device.name}-seed{seed}-{key}", make, cache)
    progress(name, "done")
    return read_report((folder / "report.json").read_bytes())

"""The question of `hqdm fpga`, answered: synthesis, area, and the clock rate over seeds."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hqdm.fpga.area import netlist_area, packed_area
from hqdm.fpga.devices import RESOURCES, ROUTERS, SPEEDS, Device
from hqdm.fpga.place import Progress, place_and_route
from hqdm.fpga.synthesis import Design, Netlist, synthesise
from hqdm.fpga.tools import NEXTPNR, YOSYS, Tools, tool_version
from hqdm.rtl.generate import generate_cached, top_name
from hqdm.spec import Config

MAX_SEED = 2**31 - 1
HADAMARD, ARRAY = ("load.rotate", "load.rotate_back"), "multiply.array"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to build.

    Parameters
    ----------
    seeds: of nextpnr, one run each; with none, nothing is placed.
    speed: grade of the ECP5, 6 (slowest) to 8.
    clock: MHz nextpnr aims at.
    router: of nextpnr.
    jobs: runs of nextpnr at a time, each of one processor and 1 to 3 GB.
    use_dsp: False makes every product of LUTs.

    Raises
    ------
    ValueError: an option outside its range.
    """

    seeds: Sequence[int] = (1, 2, 3)
    speed: int = 6
    clock: float = 100.0
    router: str = ROUTERS[0]
    jobs: int = 1
    use_dsp: bool = True

    def __post_init__(self) -> None:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"--seed: wanted different seeds, got {list(self.seeds)}")
        for seed in self.seeds:
            if not 0 < seed <= MAX_SEED:
                raise ValueError(f"--seed: wanted 1..{MAX_SEED}, got {seed}")
        if self.speed not in SPEEDS:
            raise ValueError(f"--speed: wanted one of {SPEEDS}, got {self.speed}")
        if not 1 <= self.clock <= 1000:
            raise ValueError(f"--clock: wanted 1..1000 MHz, got {self.clock:g}")
        if self.router not in ROUTERS:
            raise ValueError(f"--router: wanted one of {', '.join(ROUTERS)}, got {self.router!r}")
        if self.jobs < 1:
            raise ValueError(f"--jobs: wanted at least 1, got {self.jobs}")


def core_design(config: Config) -> Design:
    """The core of `config`."""
    return Design(config.name, generate_cached(config, required=True), top_name(config))


def shortage(area: dict[str, Any], device: Device) -> list[str]:
    """What the device has too little of, in words."""
    return [f"{area[r]:,} {r} of {device.available[r]:,}" for r in RESOURCES
            if r in device.available and area[r] > device.available[r]]


def hadamard_share(units: dict[str, dict[str, int]]) -> dict[str, Any] | None:
    """The two rotations beside the array: their cells, and the ratio of LUTs."""
    if ARRAY not in units or not set(HADAMARD) <= set(units):
        return None
    first = next(iter(units[ARRAY]))
    both = {key: sum(units[u][key] for u in HADAMARD) for key in units[ARRAY]}
    array = units[ARRAY]
    return {"hadamard": both, "array": array,
            f"{first}_of_array": round(both[first] / array[first], 3) if array[first] else None}


def _seeds(netlist: Netlist, device: Device, options: Options, tools: Tools, progress: Progress,
           cache: Path | None) -> dict[int, dict[str, Any]]:
    """Seed -> result; ends every run when one fails or the user interrupts."""
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = {seed: pool.submit(
            place_and_route, netlist, device, tools, seed=seed, speed=options.speed,
            clock=options.clock, router=options.router, progress=progress, cache=cache)
            for seed in options.seeds}
        try:
            return {seed: future.result() for seed, future in futures.items()}
        except BaseException:
            tools.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def clock_rates(results: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Median and best clock rate, that of every seed, and the critical path of the best."""
    rates = {seed: result["fmax_mhz"] for seed, result in results.items()}
    best = max(rates, key=lambda seed: rates[seed])
    return {"fmax_mhz_median": round(median(rates.values()), 2), "fmax_mhz_best": rates[best],
            "fmax_mhz": {str(seed): rate for seed, rate in rates.items()},
            "critical_path": results[best]["critical_path"]}


def build(design: Design, device: Device, options: Options,
          progress: Progress = lambda step, doing: None,
          cache: Path | None = None) -> dict[str, Any]:
    """Area by unit and clock rate of `design`; what is in the cache is not made again.

    A design the device is too small for is not placed: `fits` is False and `shortage` says why.

    Raises
    ------
    RuntimeError: a tool is missing or failed.
    """
    tools = Tools()
    result: dict[str, Any] = {
        "config": design.name, "device": device.name, "top": design.top,
        "verilog_sha256": design.sha256, "yosys": tool_version(YOSYS), "use_dsp": options.use_dsp}
    progress("yosys", "synthesis")
    netlist = synthesise(design, device, tools, use_dsp=options.use_dsp, cache=cache)
    progress("yosys", "done")
    none = {"fmax_mhz_median": None, "fmax_mhz_best": None}
    if device.family != "ecp5":
        area = netlist_area(design, netlist)
        return result | {"flow": "synthesis only"} | area | none | {
            "hadamard_and_array": hadamard_share(area["units"])}
    area = packed_area(design, netlist, device, tools, cache)
    lacking = shortage(area, device)
    placed = options.seeds and not lacking
    result |= {"flow": "placed and routed, out of context" if placed else "packed",
               "nextpnr": tool_version(NEXTPNR), "speed": options.speed,
               "clock_mhz": options.clock, "router": options.router,
               "fits": not lacking, "shortage": lacking, "available": dict(device.available)} | area
    result |= none
    if placed:
        result |= clock_rates(_seeds(netlist, device, options, tools, progress, cache))
    return result | {"hadamard_and_array": hadamard_share(area["units"])}

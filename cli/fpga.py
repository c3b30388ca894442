"""`hqdm fpga`: area by unit and clock rate of a core, with Yosys and nextpnr from PyPI."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hqdm.cli.config_option import ConfigFile
from hqdm.cli.output_option import DASH, aside
from hqdm.cli.printing import Json
from hqdm.kit.console import make_console
from hqdm.kit.files import STDOUT, check_writable, write_together
from hqdm.kit.progress import Steps


def fpga(
    config: ConfigFile = "n8",
    device: Annotated[str, typer.Option(
        help="ecp5-25k, ecp5-45k, ecp5-85k: placed and routed; xcup (UltraScale+): synthesis "
             "only.")] = "ecp5-85k",
    seeds: Annotated[int, typer.Option(
        help="Runs of nextpnr, with seeds 1, 2, ...; 0: area only.")] = 3,
    seed: Annotated[list[int] | None, typer.Option(
        help="This seed; may be given more than once, instead of --seeds.",
        show_default=False)] = None,
    speed: Annotated[int, typer.Option(help="Grade of the ECP5: 6 (slowest), 7 or 8.")] = 6,
    clock: Annotated[float, typer.Option(help="MHz that nextpnr aims at.")] = 100.0,
    router: Annotated[str, typer.Option(
        help="Of nextpnr: router1 or router2.")] = "router1",
    jobs: Annotated[int, typer.Option(help="Runs of nextpnr at a time, 1 to 3 GB each.")] = 1,
    no_dsp: Annotated[bool, typer.Option(
        "--no-dsp", help="Make every product of LUTs.")] = False,
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", callback=aside,
        help=f"Folder for report.json and units.png; of - the report alone. {DASH}",
        show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Build the core out of context: LUT4, carry, FF, DSP, block RAM by unit; Fmax over seeds.

    Finished steps are kept: an interrupted command goes on where it was.
    """
    from hqdm.fpga.build import Options, build, core_design
    from hqdm.fpga.chart import draw, headline, print_units
    from hqdm.fpga.devices import device_by_name
    from hqdm.spec.config_file import read_config
    if seed is None and not 0 <= seeds <= 100:
        raise ValueError(f"--seeds: wanted 0..100, got {seeds}")
    chosen, options = device_by_name(device), Options(
        seeds=seed or range(1, seeds + 1), speed=speed, clock=clock, router=router,
        jobs=jobs, use_dsp=not no_dsp)
    described = read_config(config)
    files = [] if output is None else (
        [output] if output == STDOUT else [output / "report.json", output / "units.png"])
    for file in files:
        check_writable(file)
    with Steps() as steps:
        result = build(core_design(described), chosen, options, steps)
    if files:
        contents: list[str | bytes] = [json.dumps(result, indent=1) + "\n"]
        contents += [draw(result) for _ in files[1:]]
        write_together(dict(zip(files, contents, strict=True)))
    if as_json:
        print(json.dumps(result))
    else:
        console = make_console()
        for line in headline(result):
            console.print(line, soft_wrap=True)
        print_units(result, console)
        if output is not None:
            console.print(f"wrote {', '.join(map(str, files))}", soft_wrap=True)
    if result.get("shortage"):
        raise ValueError(f"{result['config']} does not fit {device}: "
                         f"{', '.join(result['shortage'])}")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(fpga)

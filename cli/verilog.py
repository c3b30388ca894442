"""`hqdm verilog`: the text of a core, and what software has to know about it."""

from pathlib import Path
from typing import Annotated

import typer

from hqdm.cli.config_option import ConfigFile
from hqdm.cli.output_option import DASH, aside
from hqdm.cli.printing import Json, print_values
from hqdm.kit.files import is_plain
from hqdm.spec.config_file import read_config


def verilog(
    output: Annotated[Path, typer.Option(
        "-o", "--output", callback=aside, help=f"Verilog file to write. {DASH}")],
    config: ConfigFile = "n16",
    prefix: Annotated[str | None, typer.Option(
        help="Name of the top module, with which the names of the others begin; "
             "hqdm_ and the configuration's name if not given.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Write the Verilog of a core.

    To FILE, and its ports, registers and checksum to FILE.json. A device or a pipe takes the
    Verilog alone.
    """
    chosen = read_config(config)
    from hqdm.rtl.generate import write_verilog
    description = write_verilog(chosen, output, prefix=prefix)
    del description["ports"], description["registers"]
    sidecar = f"{output}.json" if is_plain(output) else None
    print_values({"output": str(output), "sidecar": sidecar} | description, as_json)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(verilog)

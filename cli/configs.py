"""`hqdm configs`: the presets with their sizes."""

import typer

from hqdm.cli.printing import Json, print_rows
from hqdm.spec import PRESETS


def configs(as_json: Json = False) -> None:
    """List the configurations."""
    rows = {
        c.name: {"n": c.n, "lanes": c.lanes, "bus_bits": c.bus_bits,
                 "buffer_words": c.buffer_words, "acc_words": c.acc_words,
                 "operand_bits": c.operand_bits, "hash": f"0x{c.hash:08x}"}
        for c in PRESETS.values()}
    print_rows(rows, as_json)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(configs)

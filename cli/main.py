"""The command line: `hqdm layer`, `hqdm verilog`, `hqdm configs`.

Errors end with exit code 2 and one line on stderr.
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, cast

import typer
from typer.exceptions import TyperException

from hqdm.cli import board_options as board
from hqdm.cli import cycles, evaluate, fpga, lower, models, quantize, sample, train
from hqdm.cli.printing import Json, print_rows, print_values
from hqdm.spec import PRESETS, config_by_name
from hqdm.spec.layer import Axis, Op, Residual

ERROR, INTERRUPTED = 2, 130

app = typer.Typer(
    add_completion=False, rich_markup_mode=None,
    help="HQ-DM accelerator: run layers on the RTL, write Verilog.")

ConfigName = Annotated[str, typer.Option("--config", help=f"One of {', '.join(PRESETS)}.")]


@app.command()
def layer(
    config: ConfigName = "n16",
    op: Annotated[str, typer.Option(help="linear, conv1x1 or conv3x3.")] = "conv3x3",
    channels: Annotated[tuple[int, int], typer.Option(
        help="Input and output channels.")] = (64, 64),
    channels2: Annotated[int, typer.Option(
        help="Channels of a second source, concatenated; 0 is none.")] = 0,
    size: Annotated[tuple[int, int], typer.Option(
        help="Height and width; rows and 1 for linear.")] = (32, 32),
    act_bits: Annotated[int, typer.Option(help="2, 3, 4 or 8.")] = 4,
    weight_bits: Annotated[int, typer.Option(help="2, 3, 4 or 8.")] = 4,
    ranged: Annotated[bool, typer.Option(
        "--ranged", help="Free bounds of the activations; not at 8 bits.")] = False,
    rotate: Annotated[str, typer.Option(help="channel, width or none.")] = "width",
    order: Annotated[int, typer.Option(
        help="log2 of the rotation block, 0..6; reduced to what the axis admits.")] = 5,
    stride: Annotated[int, typer.Option(help="1 or 2.")] = 1,
    upsample: Annotated[int, typer.Option(help="1 or 2.")] = 1,
    padding: Annotated[int | None, typer.Option(
        help="0 or 1; by default 1 for conv3x3, else 0.", show_default=False)] = None,
    residual: Annotated[str, typer.Option(help="none, add or subtract.")] = "none",
    timestep: Annotated[int, typer.Option(help="Index into the tables.")] = 0,
    timesteps: Annotated[int, typer.Option(help="Entries of the tables.")] = 1,
    memory_latency: Annotated[int, typer.Option(help="Cycles; rtl only.")] = 40,
    seed: Annotated[int, typer.Option(help="Of the random data.")] = 1,
    backend: Annotated[str, typer.Option(
        help="rtl, golden or uio: a core on a board, docs/linux.md.")] = "rtl",
    device: Annotated[str, typer.Option(
        help="Node of the core, or BITFILE:CORE of a PYNQ overlay; uio only.")] = board.DEVICE,
    memory: board.MemoryName = board.MEMORY,
    clock_mhz: board.Clock = board.CLOCK_MHZ,
    poll: board.Poll = False,
    root: board.Root = Path("/"),
    as_json: Json = False,
) -> None:
    """Run one layer of random data on the device and compare it with the golden model."""
    from hqdm.sim.compare_layer import Backend, compare_layer, make_layer
    described = make_layer(
        op=cast(Op, op), channels=(channels[0], channels2) if channels2 else channels[:1],
        out_channels=channels[1], height=size[0], width=size[1], act_bits=act_bits,
        weight_bits=weight_bits, ranged=ranged, axis=cast(Axis, rotate), order=order, stride=stride,
        upsample=upsample, padding=padding, residual=cast(Residual, residual),
        timesteps=timesteps)
    chosen = config_by_name(config)
    if backend not in ("rtl", "golden", "uio"):
        raise ValueError(f"backend: wanted rtl, golden or uio, got {backend!r}")
    place = board.Board(
        device=device, memory=memory, clock_mhz=clock_mhz, poll=poll, root=root)
    with place.open() if backend == "uio" else nullcontext() as transport:
        result = compare_layer(
            described, chosen, backend=cast(Backend, backend), timestep=timestep,
            memory_latency=memory_latency, seed=seed, transport=transport)
    print_values(result, as_json)


@app.command()
def verilog(
    output: Annotated[Path, typer.Option("-o", "--output", help="Verilog file to write.")],
    config: ConfigName = "n16",
    as_json: Json = False,
) -> None:
    """Write the Verilog of a core to FILE and its description to FILE.json."""
    chosen = config_by_name(config)
    from hqdm.rtl.generate import write_verilog
    description = write_verilog(chosen, output)
    del description["ports"], description["registers"]
    print_values({"output": str(output), "sidecar": f"{output}.json"} | description, as_json)


@app.command()
def configs(as_json: Json = False) -> None:
    """List the configurations."""
    rows = {
        c.name: {"n": c.n, "lanes": c.lanes, "bus_bits": c.bus_bits,
                 "buffer_words": c.buffer_words, "acc_words": c.acc_words,
                 "operand_bits": c.operand_bits, "hash": f"0x{c.hash:08x}"}
        for c in PRESETS.values()}
    print_rows(rows, as_json)


for command in (cycles, evaluate, fpga, lower, models, quantize, sample, train):
    command.register(app)


def _fail(error: Exception) -> int:
    message = error.format_message() if isinstance(error, TyperException) else str(error)
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return ERROR


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 on an error, 130 on Ctrl-C."""
    try:
        return app(args=arguments, standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (TyperException, ValueError, TypeError, OSError, RuntimeError) as error:
        return _fail(error)


if __name__ == "__main__":
    sys.exit(main())

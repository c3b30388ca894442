"""`hqdm layer`: one layer of random data, by the core or by the golden model."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, cast

import typer

from hqdm.cli import board_options as board
from hqdm.cli.config_option import ConfigFile
from hqdm.cli.extras import want_simulator
from hqdm.cli.printing import Json, print_values
from hqdm.spec.config_file import read_config
from hqdm.spec.layer import Axis, Op, Residual


def layer(
    config: ConfigFile = "n16",
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
    """Run one layer of random data and compare it with golden."""
    if backend not in ("rtl", "golden", "uio"):
        raise ValueError(f"backend: wanted rtl, golden or uio, got {backend!r}")
    want_simulator(backend)
    from hqdm.sim.compare_layer import Backend, compare_layer, make_layer
    described = make_layer(
        op=cast(Op, op), channels=(channels[0], channels2) if channels2 else channels[:1],
        out_channels=channels[1], height=size[0], width=size[1], act_bits=act_bits,
        weight_bits=weight_bits, ranged=ranged, axis=cast(Axis, rotate), order=order, stride=stride,
        upsample=upsample, padding=padding, residual=cast(Residual, residual),
        timesteps=timesteps)
    chosen = read_config(config)
    place = board.Board(
        device=device, memory=memory, clock_mhz=clock_mhz, poll=poll, root=root)
    with place.open() if backend == "uio" else nullcontext() as transport:
        result = compare_layer(
            described, chosen, backend=cast(Backend, backend), timestep=timestep,
            memory_latency=memory_latency, seed=seed, transport=transport)
    print_values(result, as_json)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(layer)

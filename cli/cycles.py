"""`hqdm cycles`: how many cycles a model would take, without weights or simulation."""

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from hqdm.cli.config_option import ConfigFile
from hqdm.cli.output_option import DASH, aside
from hqdm.cli.printing import Json
from hqdm.kit.files import check_writable

PLAIN_NUMBER = re.compile(r"[+-]?\d{1,12}((\.\d{0,12})?(e[+-]?\d)?|/\d{1,12})")


def parse_bandwidth(text: str | None) -> Fraction | None:
    """Bytes per cycle as written, "12.8" or "64/5"; None is no limit."""
    if text is None:
        return None
    try:
        if not PLAIN_NUMBER.fullmatch(text):    # a Fraction of 1e999999999 has as many digits
            raise ValueError("more digits than a bandwidth has")
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"--bandwidth: wanted bytes per cycle, got {text[:40]!r}") from error


def cycles(
    model: Annotated[str, typer.Option(
        help="Name (see docs/models.md), a diffusers UNet configuration file or its folder, or an "
             "integer network of hqdm lower.")] = "cifar10",
    config: ConfigFile = "n16",
    batch: Annotated[int, typer.Option(
        help="Images of the call that is a step; they share the weights where that helps. 2: "
             "both halves of a guided image.")] = 1,
    memory_latency: Annotated[int, typer.Option(help="Cycles.")] = 40,
    bandwidth: Annotated[str | None, typer.Option(
        help="Bytes per cycle that all ports share; by default each port has its whole width.",
        show_default=False)] = None,
    clock: Annotated[float, typer.Option(help="MHz.")] = 100.0,
    steps: Annotated[int, typer.Option(
        help="Denoising steps of an image; models with guidance take two calls each.")] = 20,
    size: Annotated[tuple[int, int] | None, typer.Option(
        help="Height and width of the latent; by default the model's.", show_default=False)] = None,
    tokens: Annotated[int | None, typer.Option(
        help="Of the context; by default the model's, or 77 of text, as the first line then says. "
             "To one token, cross-attention is a constant.", show_default=False)] = None,
    weights: Annotated[int | None, typer.Option(
        help="Bits, 2, 3, 4 or 8.", show_default="4")] = None,
    activations: Annotated[int | None, typer.Option(
        help="Bits, 2, 3, 4 or 8.", show_default="4")] = None,
    rotate: Annotated[str | None, typer.Option(
        help="Axis for convolutions: width, channel or none (linear layers too).",
        show_default="the model's")] = None,
    order: Annotated[int | None, typer.Option(
        help="log2 of the rotation block, 0..6.", show_default="5")] = None,
    layers: Annotated[bool, typer.Option(
        "--layers", help="A row for every layer, not only the worst.")] = False,
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", callback=aside,
        help=f"Report to write: .html, or plots as .png or .svg. {DASH}",
        show_default=False)] = None,
    trace: Annotated[Path | None, typer.Option(
        callback=aside, help=f"Timeline to write, for ui.perfetto.dev. {DASH}",
        show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Cycles of one denoising step: one call of the network for --batch images."""
    from hqdm.cycles.estimate import MemoryTiming
    from hqdm.cycles.question import ask, summary
    from hqdm.firmware.catalogue.library import read_model, with_tokens
    from hqdm.firmware.catalogue.shapes import in_formats, shapes
    from hqdm.spec.config_file import read_config
    if output is not None:
        from hqdm.cycles.report import check_report, write_report
        check_report("-o", output)
    if trace is not None:
        check_writable(trace)
    described = with_tokens(read_model(model), tokens)
    found = in_formats(shapes(described, size), described, weight_bits=weights,
                       activation_bits=activations, rotate=rotate, order=order)
    memory = MemoryTiming(latency=memory_latency, bandwidth=parse_bandwidth(bandwidth))
    answer = ask(found, read_config(config), memory=memory, batch=batch, clock=clock, steps=steps)
    if output is not None:
        write_report(answer, output)
    if trace is not None:
        from hqdm.cycles.trace import write_trace
        write_trace(answer, trace)
    if as_json:
        print(json.dumps(summary(answer)))
        return
    from hqdm.cycles.tables import print_answer
    print_answer(answer, layers)
    for path in (output, trace):
        if path is not None:
            print(f"wrote {path}")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(cycles)

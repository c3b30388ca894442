"""The command line `hqdm`: layer, verilog, configs, cycles, fpga; sample; models, train, quantize,
lower, evaluate. A module each.

Errors end with exit code 2 and one line on stderr.
"""

import os
import sys
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC
from typing import Annotated

import typer
from typer.exceptions import TyperException

from hqdm.cli import (
    configs,
    cycles,
    evaluate,
    fpga,
    layer,
    lower,
    models,
    quantize,
    sample,
    train,
    verilog,
)
from hqdm.cli.extras import what_to_install
from hqdm.kit.console import show_everything

ERROR, INTERRUPTED, NO_READER = 2, 130, 141     # as shells count the signals of the last two
FULL = (EDQUOT, EFBIG, ENOSPC)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version
        try:
            print(f"hqdm {version('hqdm')}")
        except PackageNotFoundError:
            print("hqdm, a checkout that is not installed")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[bool, typer.Option(
        "--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """An accelerator for low-bit latent diffusion.

    Its Verilog, size and clock rate; cycles of any network on it; layers and whole images on the
    simulated core, on a board or by the golden model; and the training, quantisation, lowering
    and evaluation of networks for it.
    """


for command in (verilog, configs, cycles, fpga, layer, sample, models, train, quantize, lower,
                evaluate):
    command.register(app)


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return ERROR


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 on an error, 130 on Ctrl-C, 141 where
    who reads standard output has gone."""
    words = sys.argv[1:] if arguments is None else arguments
    show_everything()
    status = _run(words)
    try:
        if sys.stdout is not None:      # closed by the shell
            sys.stdout.flush()
    except BrokenPipeError:
        _discard()
        return status or NO_READER
    except OSError as error:
        _discard()
        return status or _fail(f"standard output: could not be written: {error.strerror}")
    return status


def _discard() -> None:
    """What standard output did not take, so that the end of Python does not try again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    try:
        return app(args=words, standalone_mode=False) or 0
    except SystemExit as end:       # rich and typer end the process where a pipe is broken
        if isinstance(end.__context__, BrokenPipeError):
            return NO_READER
        raise
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except TyperException as error:
        return _fail(error.format_message())
    except OSError as error:
        if error.errno in FULL and error.filename is None:      # what was printed: files are named
            return _fail(f"standard output: could not be written: {error.strerror}")
        return _fail(str(error))
    except (ValueError, TypeError, RuntimeError) as error:
        return _fail(str(error))
    except MemoryError as error:
        return _fail(f"not enough memory {error}".strip())
    except ModuleNotFoundError as error:
        text = what_to_install(error.name or "", words[0])
        if text is None:
            raise
        return _fail(text)


if __name__ == "__main__":
    sys.exit(main())

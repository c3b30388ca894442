"""Options that name a file to write: `-` is standard output."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import typer

from hqdm.kit.files import STDOUT

DASH = "-: standard output, and what the command says goes to standard error."


def aside(context: typer.Context, path: Path | None) -> Path | None:
    """The callback of such an option: with `-`, what the command says goes to standard error.

    Raises
    ------
    ValueError: `-` is given to two options.
    """
    if path == STDOUT:
        if sys.stdout is sys.stderr:
            raise ValueError("-: wanted one file on standard output, got two")
        context.with_resource(redirect_stdout(sys.stderr))
    return path

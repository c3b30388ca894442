"""What the commands of this folder share."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

from hqdm.kit.files import write_atomically

Arguments = ParamSpec("Arguments")


def one_line_errors(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """`main`, with status 2 and one line on stderr for what it cannot do."""
    @wraps(main)
    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> int:
        try:
            return main(*arguments, **named)
        except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
    return run


def png(figure: Any, **options: Any) -> bytes:
    """A figure of matplotlib as a PNG; the same bytes for the same figure."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, **options)
    return buffer.getvalue()


def write_json(path: Path | None, figures: Any) -> None:
    """`figures` as the file `path`; nothing without a path."""
    if path is not None:
        write_atomically(path, json.dumps(figures, indent=1) + "\n")

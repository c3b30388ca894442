"""Text for people: whole in a pipe, and without a character that the stream cannot show."""

import codecs
import sys
from io import TextIOWrapper

from rich.console import Console

WIDE = 100_000      # columns where no terminal has an end of the line
HANDLER = "hqdm.in_ascii"
IN_ASCII = {"█": "#", "±": "+-", "µ": "u", "…": "..."}


def make_console() -> Console:
    """Standard output; where that is no terminal, a line is as long as what it says."""
    console = Console(markup=False, highlight=False)
    if not console.file.isatty():
        console.width = WIDE
    return console


def in_ascii(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks; for `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(
        IN_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode()
        for c in error.object[error.start:error.end]), error.end


def show_everything() -> None:
    """Let standard output and error say in ASCII what their encoding lacks, not fail."""
    codecs.register_error(HANDLER, in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=HANDLER)

"""What is printed: whole in a pipe, and in ASCII where there is no more."""

import sys
from io import BytesIO, TextIOWrapper

import pytest
from rich.table import Table

from hqdm.kit.console import make_console, show_everything


def test_nothing_is_cut_in_a_pipe(capsys):
    table = Table("name", "value", box=None)
    table.add_row("long", "x" * 1000)
    make_console().print(table)
    make_console().print("y" * 1000)
    out = capsys.readouterr().out
    assert "x" * 1000 in out and "y" * 1000 in out and "…" not in out


@pytest.mark.parametrize(("encoding", "shown"), [
    ("utf-8", "1 µs ± 2, ██ ü \\udcff".encode()),
    ("ascii", b"1 us +- 2, ## \\xfc \\udcff"), ("latin-1", b"1 \xb5s \xb1 2, ## \xfc \\udcff")])
def test_what_an_encoding_lacks(monkeypatch, encoding, shown):
    streams = [TextIOWrapper(BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    show_everything()
    for stream in streams:
        print("1 µs ± 2, ██ ü \udcff", end="", file=stream, flush=True)
        assert stream.buffer.getvalue() == shown

"""What a command prints: one JSON object, or a table of two columns."""

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from hqdm.kit.console import make_console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """(dotted name, text) of every entry of nested `values`."""
    rows = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        else:
            text = f"{value:,.3f}" if isinstance(value, float) else str(value)
            rows.append((prefix + key, text))
    return rows


def print_values(values: dict[str, Any], as_json: bool) -> None:
    """`values` as JSON or as a table of dotted names."""
    if as_json:
        print(json.dumps(values))
        return
    table = Table(box=None, show_header=False)
    for _ in range(2):
        table.add_column(overflow="fold")
    for row in flat(values):
        table.add_row(*row)
    make_console().print(table)


def print_rows(rows: dict[str, dict[str, Any]], as_json: bool) -> None:
    """Named `rows` of the same columns as JSON or as a table."""
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("name", *next(iter(rows.values())), box=None)
    for name, row in rows.items():
        table.add_row(name, *map(str, row.values()))
    make_console().print(table)

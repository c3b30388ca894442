"""Configurations by name or from a JSON file."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from hqdm.spec import PRESETS, Config


def read_config(config: str) -> Config:
    """The preset called `config`, or the configuration of the JSON file of that name.

    Raises
    ------
    ValueError: neither a preset nor a file, other fields than those of `Config`, or a value
        outside its range.
    """
    if config in PRESETS:
        return PRESETS[config]
    path = Path(config)
    if not path.is_file():
        raise ValueError(f"configuration: wanted one of {', '.join(PRESETS)} or a JSON file, got "
                         f"{config!r}")
    try:
        plain = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: wanted JSON, got {error}") from error
    needed = {f.name for f in fields(Config) if f.default is MISSING} - {"name"}
    known = [f.name for f in fields(Config)]
    if not isinstance(plain, dict) or not needed <= set(plain) <= set(known):
        got = ", ".join(plain) if isinstance(plain, dict) else type(plain).__name__
        raise ValueError(f"{path}: wanted an object of {', '.join(known)} (at least "
                         f"{', '.join(sorted(needed))}), got {got or 'none'}")
    for name, value in plain.items():
        kind = str if name in ("name", "cell") else int
        if type(value) is not kind:
            raise ValueError(f"{path}: wanted {name} of type {kind.__name__}, got {value!r}")
    values: dict[str, Any] = {"name": path.stem} | plain
    return Config(**values)

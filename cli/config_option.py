"""The option `--config` of the commands that take a preset or a file."""

from typing import Annotated

import typer

from hqdm.spec import PRESETS

ConfigFile = Annotated[str, typer.Option(
    "--config", help=f"One of {', '.join(PRESETS)}, or a JSON file of a configuration.")]

"""`python -m rtl --config n16 -o FILE` writes FILE (Verilog) and FILE.json (its description)."""

import argparse
import sys
from pathlib import Path

from hqdm.rtl.generate import write_verilog
from hqdm.spec.config import PRESETS, config_by_name


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status, 2 for a bad argument."""
    parser = argparse.ArgumentParser(
        prog="python -m rtl", description="Write the Verilog of the core.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", default="n16", help=f"one of {', '.join(PRESETS)}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="Verilog file to write")
    options = parser.parse_args(arguments)
    try:
        description = write_verilog(config_by_name(options.config), options.output)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {description['top']}, configuration {options.config}, "
          f"hash {description['config_hash']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

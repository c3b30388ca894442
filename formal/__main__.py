"""python -m formal [--long] [--defects] [--jobs N] [NAME ...]"""

import argparse
import sys

from formal.catalogue import PROPERTIES, run


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="formal", description="Check the properties of the RTL.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="properties (default: all)")
    parser.add_argument("--long", action="store_true", help="the long ones too (default: no)")
    parser.add_argument("--defects", action="store_true",
                        help="break registers of the unit in turn (default: no)")
    parser.add_argument("--jobs", type=int, default=1, help="properties at a time (default: 1)")
    parser.add_argument("--list", action="store_true", help="list the properties and stop")
    options = parser.parse_args(arguments)
    if options.list:
        for item in PROPERTIES:
            print(f"{item.name:24} {item.statement}")
        return 0
    bad = 0
    try:
        if options.jobs < 1:
            raise ValueError(f"jobs: wanted at least 1, got {options.jobs}")
        for good, line in run(options.names, long=options.long, defects=options.defects,
                              jobs=options.jobs):
            print(line if good else f"{line}  WRONG", flush=True)
            bad += not good
    except ValueError as error:
        print(f"formal: {error}", file=sys.stderr)
        return 2
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

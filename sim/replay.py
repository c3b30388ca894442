"""A layer that differed from golden, run again: `python -m hqdm.sim.replay FILE`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, cast

import torch

from hqdm.firmware.device.reproducer import load_reproducer
from hqdm.sim.compare_layer import Backend, make_transport


def replay_file(path: Path, backend: Backend, memory_latency: int = 40) -> dict[str, Any]:
    """Run the reproducer in `path` on a fresh device.

    Returns
    -------
    layer, config, backend, outputs, mismatches against golden's expectation, recorded (mismatches
    when it was written), same_as_recorded, altered.
    """
    found = load_reproducer(path)
    transport = make_transport(backend, found.config, found.memory_bytes, memory_latency, 1)
    output = found.replay(transport)
    return {
        "layer": found.layer, "config": found.config.name, "backend": backend,
        "outputs": output.numel(), "mismatches": int((output != found.expected).sum()),
        "recorded": int((found.got != found.expected).sum()),
        "same_as_recorded": torch.equal(output, found.got),
        "altered": tuple(found.about["altered"])}


def main(arguments: list[str] | None = None) -> int:
    """Print the result as JSON; 0 if the layer agrees with golden, 1 if not, 2 on an error."""
    parser = argparse.ArgumentParser(prog="python -m hqdm.sim.replay")
    parser.add_argument("file", type=Path)
    parser.add_argument("--backend", choices=("rtl", "golden"), default="rtl")
    parser.add_argument("--memory-latency", type=int, default=40)
    options = parser.parse_args(arguments)
    try:
        result = replay_file(options.file, cast(Backend, options.backend), options.memory_latency)
    except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(json.dumps(result))
    return int(result["mismatches"] > 0)


if __name__ == "__main__":
    sys.exit(main())

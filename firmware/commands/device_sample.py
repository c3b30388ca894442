"""`hqdm sample --backend rtl`: images sampled entirely through the core's RTL."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firmware.network.compare import Comparison
from firmware.network.compile import NetworkProgram, compile_network
from firmware.network.modes import Mode
from firmware.network.progress import SampleProgress
from firmware.network.runner import DeviceNetwork
from firmware.network.session import DeviceSampler, summary
from firmware.network.state import SamplingState, writing
from spec import Config


def beside(output: Path, ending: str) -> Path:
    """The file `ending` beside a picture: grid.png.state, grid.png.mismatch."""
    return output.with_name(f"{output.name}.{ending}")


def draw_on_device(path: Path, decoder: Path, output: Path, labels: list[int], *, config: Config,
                   memory_latency: int, compare: Mode, devices: int, steps: int, guidance: float,
                   seed: int, columns: int) -> dict[str, Any]:
    """Sample `labels` with the integer network `path` on the RTL of `config`, write the grid.

    `devices` simulations run side by side, one call each; they change the time alone. A state
    beside `output` is written after every step and removed at the end.

    Returns
    -------
    what `hqdm sample` prints, and `first_mismatch`, in words or None.

    Raises
    ------
    ValueError: a network that does not fit, steps it was not quantised for, a state of another run.
    RuntimeError: the simulation cannot be built, or the device failed.
    OSError: a file cannot be written.  KeyboardInterrupt: after saying how to go on.
    """
    from golden.evaluation.subjects import load_subject
    from golden.models.autoencoder import decode
    from golden.models.files import load_autoencoder
    from golden.models.grid import save_grid
    from golden.network.checkpoint import load_network
    begun = time.monotonic()
    subject = load_subject(path)
    subject.check_steps(steps)
    autoencoder = load_autoencoder(decoder)
    program = compile_network(load_network(path)[0], config)
    state = SamplingState(beside(output, "state"), {
        "model": subject.digest, "config": asdict(config), "memory_latency": memory_latency,
        "abi": config.hash, "compare": compare, "steps": steps, "guidance": guidance,
        "seed": seed, "classes": labels})
    try:
        calls = 1 if guidance == 1 else 2
        comparisons = [
            Comparison(open_device(program, memory_latency), compare, beside(output, "mismatch"))
            for _ in range(min(devices, calls))]
        sampler = DeviceSampler(subject, comparisons, state, SampleProgress(
            len(labels), steps, calls * len(program.nodes), calls * program.cycles))
        latents = sampler.sample(labels, steps, guidance, seed)
    except BaseException:
        if not state.records:
            state.remove()
        raise
    with writing(output):
        save_grid(output, decode(autoencoder, latents), columns, scale=2)
    state.remove()
    first = next((record.first for record in state.records if record.first), None)
    return {"config": config.name, "backend": "rtl", "network": subject.name, "steps": steps,
            "guidance": guidance, "seed": seed, "images": len(labels), "classes": labels,
            "seconds": time.monotonic() - begun, "output": str(output), "compare": compare,
            "memory_latency": memory_latency} | summary(program, state.records, steps) | {
            "first_mismatch": first}


def open_device(program: NetworkProgram, memory_latency: int) -> DeviceNetwork:
    """The network on a fresh Verilated core; builds the simulation on first use."""
    from firmware.compare import make_transport
    transport = make_transport("rtl", program.config, program.memory.total_bytes, memory_latency,
                               seed=1)
    return DeviceNetwork(program, transport)

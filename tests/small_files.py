"""The smallest file of each format that people bring: as the package writes it."""

import json
import pickle
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.compile.lowering import lower
from hqdm.firmware.compile.packing import pack_activation
from hqdm.firmware.device.reproducer import Reproducer
from hqdm.firmware.device.state import Run, SamplingState, StepRecord
from hqdm.golden.network.network_file import save_network
from hqdm.learn.calibration import quantise
from hqdm.learn.qat.convert import convert
from hqdm.learn.qat.export import export, freeze
from hqdm.learn.qat.methods import make_method
from hqdm.sim.compare_layer import make_layer, memory_of, random_case
from hqdm.spec import PRESETS
from hqdm.spec.stalls import Spent, Stalls

SCHEDULE = (501, 1)
CONFIG = {"n": 8, "buffer_words": 2048, "acc_words": 512, "operand_bits": 10, "cell": "booth"}
MODEL = {"_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3,
         "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
         "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
         "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "attention_head_dim": 8}
RUN = Run(images=2, steps=2, calls=2, nodes=2, compared=2, shape=(4, 2, 2))
SPENT = Spent(cycles=10, busy=7, stalls=Stalls(load=2, setup=1))
ARGUMENTS = {"model": "abc", "compare": "layers", "steps": 2, "seed": 7, "classes": [1, 2]}


def write_reproducer(path: Path) -> Path:
    """A convolution with a residual, of two sources and two timesteps, that agrees with golden."""
    layer = make_layer(op="conv3x3", channels=(4, 4), out_channels=6, height=4, width=4,
                       axis="width", order=2, residual="add", timesteps=2)
    case = random_case(layer, 1, 3)
    program = compile_layer(layer, case.parameters, PRESETS["n4"])
    assert case.second is not None
    operands = [*zip(program.sources, case.sources, strict=True), (program.second, case.second)]
    output = case.golden().values
    Reproducer(
        layer=layer.name, config=program.config, memory_bytes=memory_of(program),
        descriptor=program.descriptor_address, output=program.output, timestep=1,
        cycles=program.plan.cycles, expected=output, got=output.clone(), pieces=(
            *program.pieces, *((a, pack_activation(c.values, 4)) for a, c in operands)),
        about={"fields": asdict(program.descriptor), "description": asdict(layer),
               "altered": []}).save(path)
    return path


def write_state(path: Path) -> SamplingState:
    """Two steps of two images."""
    state = SamplingState(path, ARGUMENTS, RUN)
    generator = torch.Generator().manual_seed(1)
    for image, step in ((0, 0), (0, 1), (1, 0)):
        state.add(StepRecord(
            image=image, step=step, calls=2, layers=(SPENT, Spent()), layers_compared=4,
            mismatches=0, first="", device_seconds=1.5, host_seconds=0.5, golden_seconds=0.25),
            torch.randn(4, 2, 2, generator=generator),
            torch.randn(2, 4, 2, 2, generator=generator))
    return state


@cache
def small_unet() -> UNet2DConditionModel:
    """Every kind of tensor a network has: norms, gates, class biases, attention, two sources."""
    torch.manual_seed(1)
    return UNet2DConditionModel(
        mid_block_type=None, sample_size=4, in_channels=2, out_channels=2, block_out_channels=(8,),
        layers_per_block=1, down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("UpBlock2D",), cross_attention_dim=4, attention_head_dim=1,
        norm_num_groups=4).eval().requires_grad_(False)


def write_integers(path: Path) -> Path:
    """A network of two timesteps and two classes."""
    generator = torch.Generator().manual_seed(2)
    contexts = torch.randn(2, 4, generator=generator)
    latents = torch.randn(2, 2, 4, 4, generator=generator)
    real = lower(small_unet(), SCHEDULE, contexts=contexts)
    network = quantise(real, [latents] * len(SCHEDULE), torch.tensor([0, 1]))[1]
    save_network(path, network, {"schedule": list(SCHEDULE)})
    return path


def write_quantised(path: Path) -> Path:
    """The same network, fake-quantised, calibrated on noise."""
    method = make_method("hqdm")
    student = convert(small_unet(), method, SCHEDULE)
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randn(2, 4, generator=generator)
    with student.timestep.observation(), torch.no_grad():
        for step in SCHEDULE:
            student.model(torch.randn(2, 2, 4, 4, generator=generator), step, tokens[:, None])
    export(path, freeze(student, SCHEDULE), method, {"recipe": {"seed": 1}}, tokens)
    return path


def write_batch(folder: Path) -> Path:
    """An official batch of two images."""
    images = np.arange(2 * 3072, dtype=np.uint32).reshape(2, 3072).astype(np.uint8)
    path = folder / "test_batch"
    path.write_bytes(pickle.dumps({b"data": images, b"labels": [3, 8]}, protocol=2))
    return path


def write_sheet(folder: Path) -> list[Path]:
    """A sheet of two images and its labels."""
    pixels = np.arange(2 * 3072, dtype=np.uint32).reshape(2, 1024, 3).astype(np.uint8)
    paths = [folder / "test_batch.png", folder / "test_lables.json"]
    Image.fromarray(pixels).save(paths[0])
    paths[1].write_text("[3, 8]")
    return paths


def write_json(path: Path, plain: object) -> Path:
    path.write_text(json.dumps(plain))
    return path

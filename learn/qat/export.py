"""The quantised network as a file: packed integers, scales, rules; and back, bit for bit."""

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor

from hqdm.kit.bit_packing import pack, unpack
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, load_state, save_checkpoint
from hqdm.learn.diffusion.presets import UNET_CLASSES
from hqdm.learn.qat.convert import Quantised, install
from hqdm.learn.qat.lora import FixedWeight, TrainedWeight
from hqdm.learn.qat.methods import Method
from hqdm.learn.qat.quantiser import AsymmetricQuantiser, FixedSteps, SymmetricQuantiser
from hqdm.learn.qat.rule import Rule
from hqdm.learn.qat.timestep import Timestep

KIND = "quantised"
INTEGERS = ".weight.integers"
CLASSES = {name: getattr(diffusers, name) for name in UNET_CLASSES}


def freeze(student: Quantised, schedule: Sequence[int]) -> Quantised:
    """A copy for inference with the steps of `schedule` only, LoRA merged into the integers.

    Its outputs at those timesteps are the student's, bit for bit.

    Raises
    ------
    ValueError: a timestep the student was not calibrated for.
    """
    entries = student.timestep.positions(schedule)
    frozen = copy.deepcopy(student)
    for layer in frozen.layers().values():
        if isinstance(layer.weight, TrainedWeight):
            layer.weight = layer.weight.freeze()
    timestep = Timestep(schedule)
    for module in frozen.model.modules():
        if isinstance(module, (SymmetricQuantiser, AsymmetricQuantiser)):
            module.freeze(entries)
            module.timestep = timestep
    frozen.model._forward_pre_hooks.clear()
    frozen.model._forward_pre_hooks_with_kwargs.clear()
    frozen.model.register_forward_pre_hook(timestep.select, with_kwargs=True)
    return Quantised(frozen.model.requires_grad_(False), timestep, frozen.rules)


def export(path: Path, frozen: Quantised, method: Method, training: dict[str, Any],
           tokens: Tensor | None = None) -> str:
    """Write a frozen network; returns the digest of the file.

    Integer weights are packed at their bits; scales, norms and biases stay float32, so that
    loading gives the same outputs, bit for bit.

    Parameters
    ----------
    training: where it comes from: teacher, recipe, losses; plain data.
    tokens: the class tokens (classes + 1, D), kept beside the UNet.

    Raises
    ------
    ValueError: a model class that is not one of UNET_CLASSES.
    """
    name = type(frozen.model).__name__
    if name not in CLASSES:
        raise ValueError(f"export: wanted one of {', '.join(CLASSES)}, got {name}")
    bits = {f"{r.name}{INTEGERS}": r.weight_bits for r in frozen.rules}
    tensors = {f"unet.{n}": pack(t, bits[n]) if n in bits else t
               for n, t in frozen.model.state_dict().items()}
    if tokens is not None:
        tensors["tokens"] = tokens.detach().float()
    architecture = {
        "class": name, "config": _plain(frozen.model), "method": asdict(method),
        "schedule": list(frozen.timestep.schedule), "rules": [r.to_json() for r in frozen.rules]}
    return save_checkpoint(path, Checkpoint(
        kind=KIND, architecture=architecture, tensors=tensors, training=training))


def _plain(model: Any) -> dict[str, Any]:
    """The configuration without diffusers' private entries, tuples as lists."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in model.config.items()
            if not k.startswith("_")}


def load_quantised(path: Path) -> tuple[Quantised, Tensor | None, Checkpoint]:
    """The frozen network of `path`, its class tokens or None, and the checkpoint it came from.

    Raises
    ------
    FileNotFoundError, ValueError: no file, a damaged, altered or foreign one.
    """
    read = load_checkpoint(path, KIND)
    return *quantised_of(path, read), read


def quantised_of(path: Path, read: Checkpoint) -> tuple[Quantised, Tensor | None]:
    """The frozen network and its class tokens of a checkpoint that has been read from `path`."""
    about = read.architecture
    try:
        model = CLASSES[about["class"]].from_config(about["config"])
        rules = tuple(Rule.from_json(r) for r in about["rules"])
        timestep = Timestep(about["schedule"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: another architecture: {error}") from error
    student = install(model.eval(), rules, timestep, _blank)
    for module in student.model.modules():
        if isinstance(module, (SymmetricQuantiser, AsymmetricQuantiser)):
            module.freeze(list(range(len(timestep))))
    tensors = {n.removeprefix("unet."): t for n, t in read.tensors.items() if n != "tokens"}
    for name, layer in student.layers().items():
        key, weight = f"{name}{INTEGERS}", layer.weight
        if key in tensors and isinstance(weight, FixedWeight):
            tensors[key] = unpack(tensors[key], weight.bits, weight.integers.shape)
    load_state(student.model, tensors, str(path))
    student.model.requires_grad_(False)
    return student, read.tensors.get("tokens")


def _blank(rule: Rule, module: Any) -> FixedWeight:
    integers = torch.zeros(module.weight.shape, dtype=torch.int8)
    return FixedWeight(integers, torch.ones(rule.outputs), rule.weight_bits)


def layer_scales(frozen: Quantised, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """(integers int8 (O, ...), weight scales (O,), activation steps (T,)) of one layer.

    The activation step is that of the raw rotated values, r = x H_raw; y = acc * step *
    2**-order * weight scale + bias.
    """
    layer = frozen.layers()[name]
    if not isinstance(layer.weight, FixedWeight) or not isinstance(
            layer.activation.steps, FixedSteps):
        raise ValueError(f"{name}: wanted a frozen layer, got one in training")
    return layer.weight.integers, layer.weight.steps.all(), layer.activation.steps.all()

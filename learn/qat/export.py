"""The quantised network as a file: packed integers, scales, rules; and back, bit for bit."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from inspect import signature
from itertools import zip_longest
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor

from hqdm.kit.bit_packing import pack, unpack
from hqdm.kit.tensor_file import (
    Checkpoint,
    check_state,
    load_checkpoint,
    load_state,
    one_line,
    save_checkpoint,
)
from hqdm.learn.diffusion.presets import UNET_CLASSES, check_sizes
from hqdm.learn.qat.convert import Quantised, install, make_rules
from hqdm.learn.qat.lora import FixedWeight, TrainedWeight
from hqdm.learn.qat.methods import METHODS, Method
from hqdm.learn.qat.quantiser import AsymmetricQuantiser, FixedSteps, SymmetricQuantiser
from hqdm.learn.qat.rule import Rule
from hqdm.learn.qat.timestep import Timestep, check_schedule
from hqdm.spec.plain import from_plain, shown

KIND = "quantised"
INTEGERS = ".weight.integers"
SHAPE = ("name", "kind", "sources", "height", "width", "upsample", "outputs", "kernel",
         "stride", "padding", "heads")      # of a rule: what its layer is, not what is done to it
ASKING = ("class_embed_type", "num_class_embeds", "addition_embed_type", "encoder_hid_dim_type")
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
    about = _about(path, read)
    tensors = {n.removeprefix("unet."): t for n, t in read.tensors.items() if n != "tokens"}
    with one_line(f"{path}: another architecture"):
        with torch.device("meta"):      # no memory for more than the file holds
            _check_rules(about)
            skeleton = _build(about)
        tensors = _unpacked(skeleton, tensors)
    check_state(skeleton.model, tensors, str(path))
    student = _build(about)
    load_state(student.model, tensors, str(path))
    for name, module in student.model.named_modules():
        if isinstance(module, FixedSteps) and not bool((module.values > 0).all()):
            raise ValueError(f"{path}: {name}: wanted steps above 0, got "
                             f"{float(module.values.min())}")
    student.model.requires_grad_(False)
    return student, _tokens(path, read, about)


@dataclass(frozen=True, kw_only=True)
class _About:
    """The header of a file; `kind` is the class of the model."""

    kind: str
    config: dict[str, Any]
    method: Method
    schedule: tuple[int, ...]
    rules: tuple[Rule, ...]


def _about(path: Path, read: Checkpoint) -> _About:
    where = f"{path}: another architecture"
    plain = {"kind" if name == "class" else name: v for name, v in read.architecture.items()}
    about = from_plain(_About, plain, f"{where}: ")
    if about.kind not in CLASSES:
        raise ValueError(f"{where}: wanted a class of {', '.join(CLASSES)}, got "
                         f"{shown(about.kind)}")
    known = signature(CLASSES[about.kind].__init__).parameters
    for name in about.config:
        if name not in known:
            raise ValueError(f"{where}: wanted fields of {about.kind}, got {shown(name)}")
    for name in ("sample_size", "in_channels"):
        if name not in about.config:
            raise ValueError(f"{where}: config: wanted {name}, got none")
    if about.method.name not in METHODS:
        raise ValueError(f"{where}: method: wanted one of {', '.join(METHODS)}, got "
                         f"{shown(about.method.name)}")
    check_sizes(f"{where}: ", about.config)
    check_schedule(f"{where}: schedule", about.schedule)
    return about


def _check_rules(about: _About) -> None:
    """ValueError unless the rules are of the layers of the model, as a dry run of it sees them."""
    if any(about.config.get(name) is not None for name in ASKING):
        return      # a dry run of it needs inputs that a file does not tell
    model = CLASSES[about.kind].from_config(about.config).eval()
    for wanted, got in zip_longest(make_rules(model, about.method), about.rules):
        for name in SHAPE:
            if getattr(wanted, name, None) != getattr(got, name, None):
                raise ValueError(f"rules: {shown(getattr(wanted or got, 'name', ''))}: {name}: "
                                 f"wanted {getattr(wanted, name, 'none')}, got "
                                 f"{shown(getattr(got, name, 'none'))}")


def _build(about: _About) -> Quantised:
    """The network of a header, with numbers of no meaning."""
    model = CLASSES[about.kind].from_config(about.config)
    timestep = Timestep(about.schedule)
    student = install(model.eval(), about.rules, timestep, _blank)
    for module in student.model.modules():
        if isinstance(module, (SymmetricQuantiser, AsymmetricQuantiser)):
            module.freeze(list(range(len(timestep))))
    return student


def _unpacked(student: Quantised, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file with integers in place of packed ones."""
    found = dict(tensors)
    for name, layer in student.layers().items():
        key, weight = f"{name}{INTEGERS}", layer.weight
        if key in found and isinstance(weight, FixedWeight):
            found[key] = unpack(found[key], weight.bits, weight.integers.shape)
    return found


def _tokens(path: Path, read: Checkpoint, about: _About) -> Tensor | None:
    """The class tokens, as wide as the model's context."""
    tokens = read.tensors.get("tokens")
    if tokens is None:
        return None
    wanted, shape = about.config.get("cross_attention_dim"), tuple(tokens.shape)
    if len(shape) != 2 or not shape[0] or (type(wanted) is int and shape[1] != wanted):
        raise ValueError(f"{path}: tokens: wanted shape (classes + 1, {wanted}), got {shape}")
    if tokens.dtype != torch.float32 or not bool(tokens.isfinite().all()):
        raise ValueError(f"{path}: tokens: wanted finite float32 numbers, got {tokens.dtype}, or "
                         f"NaN or infinity")
    return tokens


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

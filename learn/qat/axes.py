"""Which rotation suits which layer: the quantisation error of its input, axis by axis.

A rotation helps where a few entries of a block are large, and harms where a block is nearly
constant: its energy then gathers in the one coefficient that sums the block. Rows of smooth
feature maps are nearly constant, rows of channels are not (docs/quantisation.md, section 5).
"""

from collections.abc import Sequence
from typing import Any

import torch

from hqdm.learn.qat.convert import Quantised, convert
from hqdm.learn.qat.methods import Method
from hqdm.learn.qat.rotation import rotate
from hqdm.learn.qat.rule import Rule
from hqdm.learn.qat.search import quantisation_error
from hqdm.learn.qat.teacher import Teacher, contexts, predict
from hqdm.learn.qat.trajectory import Trajectories
from hqdm.spec.layer import Axis
from hqdm.spec.precision import ROTATED

AXES: tuple[Axis, ...] = ("none", "channel", "width")
TIMESTEPS = 5           # looked at, spread over the schedule
SAMPLES = 8             # trajectories looked at
Errors = dict[str, dict[Axis, float]]


def admitted(rule: Rule, order: int) -> dict[Axis, int]:
    """Orders of the axes a layer can be rotated along, "none" with 0 among them."""
    orders = {axis: rule.rotated(axis, order)[1] for axis in AXES}
    return {axis: o for axis, o in orders.items() if o or axis == "none"}


@torch.no_grad()
def errors_by_axis(student: Quantised, teacher: Teacher, data: Trajectories, order: int,
                   timesteps: Sequence[int] | None = None) -> Errors:
    """Relative squared error of every rotatable layer's quantised input, per axis.

    Each at its own best step, and zero point where the method has one, at the layer's bits;
    averaged over `timesteps` (entries of the schedule); in the order of execution.
    """
    count = len(data.schedule)
    chosen = timesteps or range(count // (2 * TIMESTEPS), count, max(1, count // TIMESTEPS))
    found: Errors = {}
    hooks = []
    for name, layer in student.layers().items():
        if layer.rule.role not in ROTATED:
            continue
        found[name] = dict.fromkeys(admitted(layer.rule, order), 0.0)

        def look(module: Any, args: Any) -> None:
            rule = module.rule
            for axis, o in admitted(rule, order).items():
                dim = 1 if rule.kind == "conv" and axis == "channel" else -1
                error = quantisation_error(rotate(args[0].float(), o, dim), rule.activation_bits,
                                           rule.asymmetric)
                found[rule.name][axis] += float(error) / len(chosen)
        hooks.append(layer.register_forward_pre_hook(look))
    context = contexts(teacher, data.labels[:SAMPLES], data.latents.device)
    with student.timestep.observation():
        for entry in chosen:
            latents = data.latents[:SAMPLES, entry].float().repeat(teacher.halves, 1, 1, 1)
            predict(student.model, latents, data.schedule[entry], context)
    for hook in hooks:
        hook.remove()
    return found


def choose_axes(teacher: Teacher, data: Trajectories, method: Method) -> dict[str, Axis]:
    """For `--axis best`: the axis of least error of every rotatable layer."""
    student = convert(teacher.unet, method, data.schedule, rank=1)
    student.model.to(data.latents.device)
    errors = errors_by_axis(student, teacher, data, method.order)
    return {name: min(row, key=row.__getitem__) for name, row in errors.items()}

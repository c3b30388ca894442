"""The integer network against the same network fake-quantised in floating point."""

import pytest
import torch
import torch.nn.functional as F

from hqdm.learn.calibration import Reference, fidelity


def cosines(a, b):
    return F.cosine_similarity(a.double().flatten(1), b.double().flatten(1))


def fresh(case, seed):
    return torch.randn(case.latents[0].shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("timestep", range(3))
def test_eight_bits_agree_to_three_nines(w8a8, timestep):
    x = fresh(w8a8, 5)
    wanted = Reference.quantised(w8a8.real)(x, timestep, w8a8.classes)
    cosine = cosines(w8a8.integers(x, timestep, w8a8.classes), wanted)
    print(f"W8A8, timestep {timestep}: {cosine.tolist()}")
    assert float(cosine.min()) >= 0.999


def test_four_bits_agree_as_far_as_the_rounding_is_determined(w4a4):
    """A change of the latent by a thousandth flips the roundings of a random network just as
    much: the integers add no error of their own to that."""
    x = [fresh(w4a4, 6 + t) for t in range(3)]
    found = fidelity(w4a4.real, w4a4.integers, x, w4a4.classes)
    print(found.summary())
    missing, floor = 1 - found.integers.mean(1), 1 - found.nudged.mean(1)
    assert bool((missing <= 1.3 * floor).all())
    assert float(missing.max()) <= 0.02


def test_fidelity_wants_every_timestep(w4a4):
    with pytest.raises(ValueError, match=r"fidelity: wanted latents for 3 timesteps, got 1"):
        fidelity(w4a4.real, w4a4.integers, w4a4.latents[:1])


def test_every_layer_agrees_on_the_same_input(w4a4):
    """Each layer of the reference is given the integer network's own tensors."""
    x, timestep = w4a4.latents[1], 1
    reference = Reference.quantised(w4a4.real, torch.float64)
    latent = w4a4.integers.encode(x, timestep)
    memory = {w4a4.integers.network.input: latent.to_float()}
    for index, (node, got) in enumerate(w4a4.integers.trace(latent, timestep, w4a4.classes)):
        wanted = reference.run_node(index, node, memory, timestep, w4a4.classes)
        memory[node.output] = got.to_float()
        error = (wanted.reshape(got.values.shape) - got.to_float()).square().mean()
        relative = float((error / wanted.square().mean()).sqrt())
        limit = 0.025 if node.layer.stages else 0.005
        assert relative <= limit, f"{node.layer.name}: {relative}"


def test_the_reference_without_quantisers_is_the_float_model(w4a4):
    with torch.no_grad():
        wanted = w4a4.model(w4a4.latents[0], 901, w4a4.contexts[w4a4.classes][:, None]).sample
    got = Reference(w4a4.real)(w4a4.latents[0], 0, w4a4.classes)
    assert float((got - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())

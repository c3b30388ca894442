"""The interpreter: same bits on any machine load, borders, refusals."""

from dataclasses import replace

import pytest
import torch

from hqdm.golden.carrier import Carrier
from hqdm.golden.network import IntegerNetwork


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_bits_do_not_depend_on_threads_or_batch(w4a4, threads):
    latent = w4a4.integers.encode(w4a4.latents[0], 0)
    threads(1)
    whole = w4a4.integers.run(latent, 0, w4a4.classes).values
    threads(2)
    assert torch.equal(w4a4.integers.run(latent, 0, w4a4.classes).values, whole)
    parts = [w4a4.integers.run(Carrier(latent.values[s], latent.exponent), 0, w4a4.classes[s])
             for s in (slice(0, 1), slice(1, 4))]
    assert torch.equal(torch.cat([p.values for p in parts]), whole)


def test_a_mirrored_network_is_turned_at_its_borders(w4a4):
    """Between them it is any other network."""
    plain = w4a4.integers
    turned = replace(plain, network=replace(plain.network, mirrored=True))
    x = w4a4.latents[0]
    latent = turned.encode(x, 0)
    assert torch.equal(latent.values, plain.encode(x, 0).values.flip(-2, -1))
    output = turned.run(latent, 0, w4a4.classes)
    assert torch.equal(output.values, plain.run(latent, 0, w4a4.classes).values)
    assert torch.equal(turned.decode(output), plain.decode(output).flip(-2, -1))
    assert torch.equal(turned(x, 0, w4a4.classes), turned.decode(output))


def test_every_layer_hands_over_int16(w4a4):
    latent = w4a4.integers.encode(w4a4.latents[0], 0)
    nodes = 0
    for node, carrier in w4a4.integers.trace(latent, 0, w4a4.classes):
        assert carrier.values.dtype == torch.int16
        assert node.output in {t.name for t in w4a4.integers.network.tensors}
        nodes += 1
    assert nodes == len(w4a4.integers.network.nodes)


def test_class_and_timestep_matter(w4a4):
    x = w4a4.latents[0][:1]
    first = w4a4.integers(x, 0, torch.tensor([0]))
    assert not torch.equal(first, w4a4.integers(x, 0, torch.tensor([2])))
    assert not torch.equal(first, w4a4.integers(x, 1, torch.tensor([0])))


def test_the_border_rounds_to_even_and_saturates(w4a4):
    f = int(w4a4.integers.input_exponent[0])
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, 1e9, -1e9]) * 2.0 ** -f
    got = w4a4.integers.encode(x.view(1, 1, 1, 6), 0).values.flatten().tolist()
    assert got == [0, 2, 2, 0, 32767, -32768]


def test_calibrated_outputs_hardly_saturate(w4a4):
    latent = w4a4.integers.encode(w4a4.latents[0], 0)
    for node, carrier in w4a4.integers.trace(latent, 0, w4a4.classes):
        share = float((carrier.values.abs() >= 32767).double().mean())
        assert share == 0, f"{node.layer.name}: {share}"


@pytest.mark.parametrize(("change", "error", "text"), [
    ({"timestep": 3}, ValueError, r"timestep: wanted 0\.\.2, got 3"),
    ({"classes": torch.tensor([0, 1, 2, 3])}, ValueError, r"classes: wanted 0\.\.2, got 3"),
    ({"classes": torch.tensor([0])}, ValueError, r"classes: wanted shape \(4,\), got \(1,\)"),
    ({"classes": torch.zeros(4)}, TypeError, r"classes: wanted an int64 tensor, got float32"),
])
def test_bad_calls_are_refused(w4a4, change, error, text):
    latent = w4a4.integers.encode(w4a4.latents[0], 0)
    arguments = {"latents": latent, "timestep": 0, "classes": w4a4.classes} | change
    with pytest.raises(error, match=text):
        w4a4.integers.run(**arguments)


def test_bad_latents_are_refused(w4a4):
    latent = w4a4.integers.encode(w4a4.latents[0], 0)
    with pytest.raises(ValueError, match=r"latent: wanted exponent \d+, got 3"):
        w4a4.integers.run(Carrier(latent.values, 3), 0, w4a4.classes)
    with pytest.raises(ValueError, match=r"wanted shape \(B, 4, 16, 16\), got \(4, 16, 16\)"):
        w4a4.integers.run(Carrier(latent.values[0], latent.exponent), 0)


def test_a_missing_layer_is_refused(w4a4):
    net = w4a4.integers
    with pytest.raises(ValueError, match=r"wanted \d+ layers, got"):
        IntegerNetwork(network=net.network, layers=net.layers[:-1],
                       input_exponent=net.input_exponent)


def test_parameters_are_checked(w4a4):
    node, parameters = next(
        (n, p) for n, p in zip(w4a4.integers.network.nodes, w4a4.integers.layers, strict=True)
        if p.group is not None)
    with pytest.raises(ValueError, match=r"wanted parameters of group_norm exactly if"):
        replace(parameters, group=None).check(node.layer)
    wide = replace(parameters.group, gain=parameters.group.gain + (1 << 18))
    with pytest.raises(ValueError, match=r"group_norm: gain: wanted -131072\.\.131071"):
        replace(parameters, group=wide).check(node.layer)

"""diffusers UNets to layers: exact in float64, options refused by name."""

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel

from hqdm.firmware.compile.lowering import lower
from hqdm.firmware.compile.lowering.folding import fold_cross_attention
from hqdm.golden.network.network_file import load_network, save_network
from hqdm.learn.calibration import Reference, quantise
from hqdm.spec.precision import Formats

TIMESTEPS = (980, 340)


def conditional(**options):
    torch.manual_seed(0)
    settings = {
        "sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (16, 32),
        "layers_per_block": 1, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "cross_attention_dim": 12,
        "attention_head_dim": 2, "norm_num_groups": 4} | options
    return UNet2DConditionModel(**settings).double().eval().requires_grad_(False)


def unconditional(**options):
    torch.manual_seed(1)
    settings = {
        "sample_size": (16, 8), "in_channels": 3, "out_channels": 3,
        "block_out_channels": (16, 32), "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"), "norm_num_groups": 4,
        "attention_head_dim": 8} | options
    return UNet2DModel(**settings).double().eval().requires_grad_(False)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("linear", [False, True])
def test_the_layers_are_the_conditional_model(linear):
    """Time embedding and cross-attention folded into biases: equal up to float64 rounding."""
    model, contexts = conditional(use_linear_projection=linear), draw(3, 12)
    real = lower(model, TIMESTEPS, contexts=contexts)
    x, classes = draw(3, 4, 8, 8), torch.tensor([2, 0, 1])
    for entry, t in enumerate(TIMESTEPS):
        wanted = model(x, t, contexts[classes][:, None]).sample
        got = Reference(real, dtype=torch.float64)(x, entry, classes)
        assert float((got - wanted).abs().max()) <= 1e-13


@pytest.mark.parametrize("norm", ["default", "scale_shift"])
def test_the_layers_are_the_unconditional_model(norm):
    model = unconditional(resnet_time_scale_shift=norm)
    real = lower(model, TIMESTEPS)
    x = draw(2, 3, 16, 8)
    for entry, t in enumerate(TIMESTEPS):
        got = Reference(real, dtype=torch.float64)(x, entry)
        assert float((got - model(x, t).sample).abs().max()) <= 1e-13


@pytest.mark.parametrize(("make", "shape"), [(unconditional, (3, 16, 8)),
                                             (conditional, (4, 8, 8))])
def test_class_embeddings_are_biases(make, shape):
    """A model with embeddings of its own: another bias of every first convolution per class."""
    options = {} if make is unconditional else {
        "down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2,
        "mid_block_type": None}
    model = make(num_class_embeds=5, **options)
    real = lower(model, TIMESTEPS)
    assert real.network.classes == 5
    x, classes = draw(3, *shape), torch.tensor([4, 0, 2])
    given = () if make is unconditional else (None,)
    for entry, t in enumerate(TIMESTEPS):
        wanted = model(x, t, *given, class_labels=classes).sample
        got = Reference(real, dtype=torch.float64)(x, entry, classes)
        assert float((got - wanted).abs().max()) <= 1e-13


@pytest.mark.parametrize("norm", ["default", "scale_shift"])
def test_zeros_at_the_bottom_and_right(norm):
    """downsample_padding 0: the network is turned, and so are the latent and the noise."""
    model = unconditional(downsample_padding=0, resnet_time_scale_shift=norm)
    real = lower(model, TIMESTEPS)
    assert real.network.mirrored and not lower(unconditional(), (1,)).network.mirrored
    layer = next(n.layer for n in real.network.nodes if n.layer.multiply.stride == 2)
    assert (layer.multiply.padding, layer.out_height, layer.out_width) == (1, 8, 4)
    x = draw(2, 3, 16, 8)
    for entry, t in enumerate(TIMESTEPS):
        got = Reference(real, dtype=torch.float64)(x, entry)
        assert float((got - model(x, t).sample).abs().max()) <= 1e-13


def test_a_mirrored_network_runs_in_integers(tmp_path):
    """Latent and noise are those of the model, in memory and from a file."""
    model = unconditional(downsample_padding=0).float()
    x = [draw(2, 3, 16, 8).float() for _ in TIMESTEPS]
    real = lower(model, TIMESTEPS, formats=Formats(weight_bits=8, activation_bits=8))
    _, integers = quantise(real, x)
    save_network(tmp_path / "n.safetensors", integers, {})
    again, _ = load_network(tmp_path / "n.safetensors")
    got = integers(x[0], 0)
    assert torch.equal(again(x[0], 0), got)
    cosine = torch.nn.functional.cosine_similarity(
        got.flatten(1), model(x[0], TIMESTEPS[0]).sample.flatten(1))
    assert float(cosine.min()) >= 0.995


def test_class_embeddings_in_integers():
    model = unconditional(num_class_embeds=3).float()
    x, classes = [draw(3, 3, 16, 8).float() for _ in TIMESTEPS], torch.tensor([2, 0, 1])
    real = lower(model, TIMESTEPS, formats=Formats(weight_bits=8, activation_bits=8))
    _, integers = quantise(real, x, classes)
    got, wanted = integers(x[1], 1, classes), model(x[1], TIMESTEPS[1], classes).sample
    cosine = torch.nn.functional.cosine_similarity(got.flatten(1), wanted.flatten(1))
    assert float(cosine.min()) >= 0.995
    other = integers(x[1], 1, torch.tensor([0, 0, 1]))
    assert not torch.equal(other[0], got[0]) and torch.equal(other[1:], got[1:])


def on_meta(model):
    return model.to("meta")


def test_what_runs_is_found_out_without_numbers():
    """A model of shapes that has to run is refused what the integer network has not."""
    for model, contexts in ((conditional(), draw(3, 12)),
                            (unconditional(num_class_embeds=5), None)):
        real = lower(model, (1,), contexts=contexts)
        shapes = lower(on_meta(model), (1,), runs=True,
                       contexts=None if contexts is None else on_meta(contexts))
        assert shapes.network == real.network


@pytest.mark.parametrize(("make", "tokens", "text"), [
    (lambda: conditional(), (3, 2, 12), "wanted one context token, got 2"),
    (lambda: conditional(encoder_hid_dim=4, encoder_hid_dim_type="text_proj"), (3, 12),
     "wanted encoder_hid_dim of None, got 4"),
    (lambda: unconditional(down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D")), None,
     r"wanted a residual block without resampling \(only networks of shapes have it\), got one"),
    (lambda: unconditional(num_class_embeds=3, resnet_time_scale_shift="scale_shift"), None,
     "wanted default beside class embeddings, which are biases in the core, got scale_shift"),
])
def test_what_does_not_run_is_only_counted(make, tokens, text):
    model = on_meta(make())
    contexts = None if tokens is None else torch.empty(tokens, device="meta")
    assert lower(model, (1,), contexts=contexts).network.nodes
    with pytest.raises(ValueError, match=text):
        lower(model, (1,), contexts=contexts, runs=True)


def test_cross_attention_to_one_token_is_a_constant():
    """Softmax over one key is exactly 1: every pixel gets the same, whatever it asks."""
    attention = conditional().mid_block.attentions[0].transformer_blocks[0].attn2
    token = draw(5, 1, 12)
    for scale in (0.0, 1.0, 1e6):
        got = attention(draw(5, 7, 32) * scale, encoder_hidden_states=token)
        wanted = fold_cross_attention(attention, token[:, 0])[:, None].expand(5, 7, 32)
        assert float((got - wanted).abs().max()) <= 1e-14


def test_formats_are_the_papers():
    network = lower(conditional(), TIMESTEPS, contexts=draw(2, 12)).network
    layers = {n.layer.name: n.layer for n in network.nodes}
    first, body = layers["conv_in"], layers["down_blocks.0.resnets.0.conv1"]
    linear = layers["mid_block.attentions.0.transformer_blocks.0.ff.net.2"]
    assert (first.load.bits, first.multiply.bits, first.load.order) == (8, 8, 0)
    assert (body.load.bits, body.multiply.bits, body.load.axis, body.load.order) == (
        4, 4, "width", 3)
    assert (linear.load.axis, linear.load.order) == ("channel", 5)
    assert network.classes == 2
    up = layers["up_blocks.0.upsamplers.0.conv"]
    assert (up.load.upsample, up.load.bits) == (2, 4)


def test_an_unconditional_model_runs_in_integers():
    model = unconditional().float()
    x = [draw(2, 3, 16, 8).float() for _ in TIMESTEPS]
    real = lower(model, TIMESTEPS, formats=Formats(weight_bits=8, activation_bits=8))
    _, integers = quantise(real, x)
    got = integers(x[0], 0)
    cosine = torch.nn.functional.cosine_similarity(
        got.flatten(1), model(x[0], TIMESTEPS[0]).sample.flatten(1))
    assert float(cosine.min()) >= 0.995


@pytest.mark.parametrize(("make", "text"), [
    (lambda: lower(torch.nn.Linear(1, 1), (1,)), r"wanted one of \('UNet2DConditionModel'"),
    (lambda: lower(conditional(), (1,)), r"wanted one class token of 12 numbers .* got None"),
    (lambda: lower(conditional(), (1,), contexts=draw(2, 5)), r"of 12 numbers .* got \(2, 5\)"),
    (lambda: lower(conditional(), (1,), contexts=draw(2, 3, 12)),
     r"wanted one context token, got 3"),
    (lambda: lower(conditional(), (1,), contexts=draw(2, 12), size=9),
     r"size: wanted multiples of 2, got 9 x 9"),
    (lambda: lower(conditional(center_input_sample=True), (1,)),
     r"wanted center_input_sample of False, got True"),
    (lambda: lower(unconditional(downsample_padding=2), (1,)),
     r"down_blocks.0.downsamplers.0: wanted a strided convolution with padding 0 or 1"),
    (lambda: lower(unconditional(down_block_types=("SkipDownBlock2D", "AttnDownBlock2D")), (1,)),
     r"down_blocks.0: SkipDownBlock2D is not lowered: .* nearest that is: ResnetDownsampleBlock2D"),
    (lambda: lower(conditional(attention_type="gated"), (1,), contexts=draw(2, 12)),
     r"wanted attention_type of 'default', got 'gated'"),
    (lambda: lower(conditional(dual_cross_attention=True), (1,), contexts=draw(2, 12)),
     r"wanted dual_cross_attention of False or None, got True"),
    (lambda: lower(unconditional(down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D")),
                   (1,)), r"wanted a residual block without resampling \(only networks of shapes"),
    (lambda: lower(conditional(num_class_embeds=2), (1,), contexts=draw(2, 12)),
     "wanted class embeddings or a class token, got both"),
    (lambda: lower(conditional(act_fn="gelu"), (1,), contexts=draw(2, 12)),
     r"wanted the activation SiLU"),
])
def test_what_is_not_lowered_is_named(make, text):
    with pytest.raises(ValueError, match=text):
        make()

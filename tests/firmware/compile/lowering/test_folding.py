"""Constants of a timestep against what the model itself hands to its blocks."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from hqdm.firmware.compile.lowering.folding import Constants

TIMESTEPS = (901, 501, 21)


def unet(**options):
    """Of the blocks, the first and the last heed `resnet_skip_time_act`."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16),
        layers_per_block=1, down_block_types=("ResnetDownsampleBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        cross_attention_dim=6, attention_head_dim=2, norm_num_groups=4,
        **options).eval().requires_grad_(False)


def handed_over(model, blocks, timestep, context):
    """What the projection of every block makes of the embedding in a call of the model."""
    given = {}

    def keep(name):
        return lambda module, _, output: given.update({name: output[0].double()})
    hooks = [block.time_emb_proj.register_forward_hook(keep(name))
             for name, block in blocks.items()]
    model(torch.zeros(1, 4, 8, 8), timestep, context)
    for hook in hooks:
        hook.remove()
    return given


@pytest.mark.parametrize("norm", ["default", "scale_shift"])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("act", [None, "silu", "gelu"])
def test_a_block_gets_what_the_model_gives_it(act, skip, norm):
    """Every way in which a time embedding may be activated: before all blocks, in each, or both."""
    model = unet(time_embedding_act_fn=act, resnet_skip_time_act=skip,
                 resnet_time_scale_shift=norm)
    context = torch.randn(1, 1, 6, generator=torch.Generator().manual_seed(1))
    found = Constants(model, TIMESTEPS, context, None)
    blocks = {name: m for name, m in model.named_modules() if hasattr(m, "time_emb_proj")}
    assert {block.skip_time_act for block in blocks.values()} == {False, skip}
    for entry, timestep in enumerate(TIMESTEPS):
        given = handed_over(model, blocks, timestep, context)
        for name, block in blocks.items():
            bias, affine = found.residual(block)
            got = bias[entry, 0] - block.conv1.bias.double() if affine is None else torch.cat(
                [part[entry] for part in affine])
            torch.testing.assert_close(got, given[name], atol=1e-5, rtol=1e-5)

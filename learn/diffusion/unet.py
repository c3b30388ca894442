"""The class-conditional denoising UNet."""

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from hqdm.learn.diffusion.presets import UNetPreset


class ClassConditionalUNet(nn.Module):
    """Noise prediction of latents given their timestep and class.

    The class is one token, a row of `embedding`, that cross-attention sees; the last row is the
    null class of classifier-free guidance.

    Members
    -------
    unet: the `diffusers.UNet2DConditionModel`, everything that is quantised.
    embedding: nn.Embedding of classes + 1 rows of `preset.context` channels.
    """

    def __init__(self, preset: UNetPreset) -> None:
        super().__init__()
        self.preset = preset
        self.unet = _make_unet(preset)
        self.embedding = nn.Embedding(preset.classes + 1, preset.context)

    @property
    def null_class(self) -> int:
        """The label that stands for no class."""
        return self.preset.classes

    def tokens(self, labels: Tensor) -> Tensor:
        """int64 (B,) to the context (B, 1, D) of cross-attention."""
        return self.embedding(labels).unsqueeze(1)

    def forward(self, latents: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        """Latents (B, L, H, W), timesteps int64 () or (B,), labels int64 (B,) to the noise."""
        return self.unet(latents, timesteps, self.tokens(labels), return_dict=False)[0]


def _make_unet(preset: UNetPreset) -> UNet2DConditionModel:
    down = tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in preset.attention)
    up = tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(preset.attention))
    model = UNet2DConditionModel(
        sample_size=preset.latent_size, in_channels=preset.latent_channels,
        out_channels=preset.latent_channels, down_block_types=down, up_block_types=up,
        block_out_channels=preset.channels, layers_per_block=preset.blocks,
        cross_attention_dim=preset.context, attention_head_dim=tuple(
            channels // preset.head for channels in preset.channels),
        norm_num_groups=preset.groups)
    model.set_attn_processor(AttnProcessor())   # faster than fused attention on so few tokens
    return model


def make_unet(preset: UNetPreset, seed: int = 0) -> ClassConditionalUNet:
    """A freshly initialised UNet, the same for the same seed; the last convolution is zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ClassConditionalUNet(preset)
    nn.init.zeros_(model.unet.conv_out.weight)
    return model

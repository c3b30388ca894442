"""Tiny UNets with random weights, their trajectories, and students of them."""

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel

from hqdm.learn.diffusion.sampler import make_scheduler
from hqdm.learn.qat.methods import make_method
from hqdm.learn.qat.trajectory import Teacher, record
from tests.tiny_models import one_thread

__all__ = ["one_thread"]

STEPS, KEPT = 10, 2


def conditional_unet(seed: int = 1) -> UNet2DConditionModel:
    """Residual blocks, a spatial transformer, down- and upsampling, skips; 8 x 8 latents."""
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32),
        layers_per_block=1, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=8,
        attention_head_dim=2, norm_num_groups=4).eval()


def unconditional_unet(seed: int = 1) -> UNet2DModel:
    """Another shape: three channels, 16 x 16, attention blocks, residual up- and downsampling."""
    torch.manual_seed(seed)
    return UNet2DModel(
        sample_size=16, in_channels=3, out_channels=3, block_out_channels=(8, 24),
        layers_per_block=1, down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        up_block_types=("ResnetUpsampleBlock2D", "AttnUpBlock2D"), norm_num_groups=4,
        attention_head_dim=8, resnet_time_scale_shift="scale_shift").eval()


@pytest.fixture(scope="session")
def unets():
    """Makers of both UNets, by name."""
    return {"conditional": conditional_unet, "unconditional": unconditional_unet}


@pytest.fixture(scope="session")
def teacher() -> Teacher:
    torch.manual_seed(2)
    return Teacher(conditional_unet(), make_scheduler(), (4, 8, 8), torch.randn(4, 8), 2.0)


@pytest.fixture(scope="session")
def data(teacher):
    return record(teacher, 6, steps=STEPS, batch=4, seed=3)


@pytest.fixture(scope="session")
def student_of(teacher, data):
    """Make a calibrated student of the teacher by a method of the registry."""
    from hqdm.learn.qat.calibrate import calibrate
    from hqdm.learn.qat.convert import convert

    def make(name: str = "hqdm", **options):
        student = convert(teacher.unet, make_method(name, **options), data.schedule, rank=4)
        calibrate(student, teacher, data, samples=2)
        return student
    return make

"""The teacher: its classes, what conditions a call, and what cannot be one."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel, UNet2DModel
from safetensors.torch import save_file

from hqdm.learn.diffusion.sampler import make_scheduler
from hqdm.learn.qat.distil import Recipe, draw
from hqdm.learn.qat.run import _sized, source_of
from hqdm.learn.qat.teacher import Teacher, contexts, folder_teacher, predict
from hqdm.learn.qat.trajectory import record

SHAPE = (3, 4, 6)
SMALL = {"sample_size": (4, 6), "in_channels": 3, "out_channels": 3, "layers_per_block": 1,
         "block_out_channels": (8,), "norm_num_groups": 4}


def plain(**options):
    torch.manual_seed(1)
    return UNet2DModel(**SMALL | {
        "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",),
        "add_attention": False} | options).eval()


def attending(**options):
    torch.manual_seed(1)
    return UNet2DConditionModel(**SMALL | {
        "down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",),
        "cross_attention_dim": 8, "attention_head_dim": 2} | options).eval()


def make(unet, **options):
    return Teacher(unet, make_scheduler(), SHAPE, **options)


@pytest.mark.parametrize(("unet", "options", "classes", "halves"), [
    (plain(), {}, 0, 1),
    (plain(num_class_embeds=4), {}, 4, 1),
    (plain(num_class_embeds=4), {"guidance": 3.0}, 3, 2),
    (plain(num_class_embeds=1), {}, 0, 1),
    (attending(), {"tokens": torch.ones(4, 8), "guidance": 2.0}, 3, 2),
    (attending(), {"tokens": torch.ones(4, 8)}, 3, 1),
    (attending(), {"tokens": torch.ones(1, 8)}, 0, 1)])
def test_classes(unet, options, classes, halves):
    """Every kind of condition goes through trajectories and a batch of the distillation."""
    teacher = make(unet, **options)
    assert (teacher.classes, teacher.halves) == (classes, halves)
    data = record(teacher, 2, steps=2, batch=2)
    assert data.noise.shape == (2, 2, halves, *SHAPE)
    batch = draw(data, teacher, Recipe(iterations=1, batch=4), 0)
    timesteps = torch.tensor(data.schedule)[batch.entries]
    with torch.no_grad():
        noise = predict(unet, batch.latents, timesteps, batch.context)
    torch.testing.assert_close(noise, batch.target, atol=2e-3, rtol=2e-3)
    rows = contexts(teacher, torch.zeros(2, dtype=torch.int64), torch.device("cpu"))
    assert rows is None or len(rows) == 2 * halves


def test_the_null_class_is_the_last():
    teacher = make(plain(num_class_embeds=4), guidance=3.0)
    rows = contexts(teacher, torch.tensor([1, 2]), torch.device("cpu"))
    assert rows.tolist() == [1, 2, 3, 3]


def test_a_conditional_class_without_cross_attention():
    """diffusers wants the argument of a context even where nothing attends to it."""
    unet = attending(down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
                     mid_block_type=None)
    assert record(make(unet), 1, steps=2).noise.shape == (1, 2, 1, *SHAPE)


@pytest.mark.parametrize(("unet", "options", "error", "text"), [
    (plain(), {"guidance": 2.0}, ValueError, "guidance: wanted 1, as the UNet has no classes, got"),
    (attending(), {}, ValueError, r"--tokens: wanted \(classes \+ 1, 8\) .* prompts of several"),
    (attending(), {"tokens": torch.ones(4, 5)}, ValueError, r"D in \[8\] .* got shape \(4, 5\)"),
    (attending(), {"tokens": torch.ones(4, 2, 8)}, ValueError, r"got shape \(4, 2, 8\)"),
    (plain(), {"tokens": torch.ones(4, 8)}, ValueError, r"D in \[\] for the cross-attention"),
    (plain(out_channels=6), {}, ValueError, "of 3 channels in and out, .* got 3 in and 6 out; "),
    (plain(), {"scheduler": DDPMScheduler()}, TypeError, "wanted a DDIMScheduler, got a DDPMSch"),
    (plain(), {"scheduler": DDIMScheduler(timestep_spacing="linspace")}, ValueError,
     "timestep_spacing: wanted leading or trailing, got linspace"),
    (plain(), {"scheduler": DDIMScheduler(trained_betas=[0.1] * 10)}, ValueError, "trained_betas")])
def test_teachers_that_are_refused(unet, options, error, text):
    with pytest.raises(error, match=text):
        Teacher(**{"unet": unet, "scheduler": make_scheduler(), "shape": SHAPE} | options)


def test_trajectories_are_of_the_schedule_and_the_shape():
    """Two schedules, or sizes, of the same weights do not share what was recorded."""
    teachers = [make(plain()), Teacher(plain(), DDIMScheduler(), SHAPE),
                Teacher(plain(), make_scheduler(), (3, 6, 4))]
    found = [source_of(teacher, 1, 0) for teacher in teachers]
    assert len({f["unet"] for f in found}) == 1
    assert all(a != b for a, b in zip(found, found[1:] + found[:1], strict=True))


@pytest.mark.parametrize("told", [(4, 6), (8, 8), 16, None])
def test_a_size_of_its_own(told):
    """The file's configuration says the size of the latents, whatever the model's said."""
    unet = plain(sample_size=told)
    sized = _sized(make(unet))
    assert list(sized.unet.config.sample_size) == [4, 6]
    assert (sized.unet is unet) is (told == (4, 6)) and unet.config.sample_size == told


def test_from_a_folder(tmp_path):
    plain().save_pretrained(tmp_path / "a")
    teacher = folder_teacher(tmp_path / "a", size=(8, 2))
    assert (teacher.shape, teacher.classes, teacher.guidance) == ((3, 8, 2), 0, 1.0)
    assert folder_teacher(tmp_path / "a").shape == SHAPE and teacher.noise_schedule.clip_sample
    attending(sample_size=None).save_pretrained(tmp_path / "b")
    save_file({"t": torch.ones(3, 8)}, tmp_path / "b" / "tokens.safetensors")
    teacher = folder_teacher(tmp_path / "b", size=(4, 6))
    assert (teacher.classes, teacher.guidance, teacher.halves) == (2, 2.0, 2)
    with pytest.raises(ValueError, match="wanted --size HEIGHT WIDTH of the latent, as"):
        folder_teacher(tmp_path / "b")

"""The timestep shared by the quantisers of a model."""

import pytest
import torch

from hqdm.learn.qat.timestep import Timestep


def test_entries_follow_the_order_of_sampling():
    timestep = Timestep([991, 981, 1])
    assert len(timestep) == 3
    assert timestep.entries(981).item() == 1
    assert timestep.entries(torch.tensor([1, 991])).tolist() == [2, 0]


@pytest.mark.parametrize("wrong", [980, -1, 5000])
def test_unknown_timestep(wrong):
    with pytest.raises(ValueError, match=f"wanted one of the 2 calibrated steps .* got {wrong}"):
        Timestep([991, 1]).entries(wrong)


@pytest.mark.parametrize("schedule", [
    [], [3, 3], [-1], [10 ** 12], [1.0], [True], ["1"], [[1]], None, {"a": 1}])
def test_schedule_is_checked(schedule):
    with pytest.raises(ValueError, match="schedule: wanted different timesteps, got"):
        Timestep(schedule)


def test_every_fifth_step_of_the_sampler_is_kept():
    from hqdm.learn.diffusion.sampler import make_scheduler
    schedules = {}
    for steps in (100, 20):
        scheduler = make_scheduler()
        scheduler.set_timesteps(steps)
        schedules[steps] = scheduler.timesteps.tolist()
    assert Timestep(schedules[100]).positions(schedules[20]) == list(range(4, 100, 5))


def test_pinned_index_is_not_looked_up():
    timestep = Timestep([5, 3])
    with timestep.pinned(torch.tensor([1, 0])):
        timestep.select(torch.nn.Identity(), (torch.zeros(2), 77), {})
        assert timestep.index.tolist() == [1, 0]
    timestep.select(torch.nn.Identity(), (torch.zeros(2),), {"timestep": 3})
    assert timestep.index.item() == 1

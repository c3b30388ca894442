"""The noise schedule that a network was trained on, as plain data: what its files keep of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, get_type_hints

CHOICES = {"beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
           "prediction_type": ("epsilon", "v_prediction", "sample"),
           "timestep_spacing": ("leading", "trailing")}
MOST_TIMESTEPS = 100_000
RENOISING = ("DDIMScheduler", "DDPMScheduler")      # they clip unless they are told not to


@dataclass(frozen=True, kw_only=True)
class NoiseSchedule:
    """The arguments of diffusers' DDIMScheduler, under its names.

    The defaults are the schedule of latent-diffusion's class-conditional ImageNet model, which
    `hqdm train unet` uses: beta = linspace(sqrt(0.0015), sqrt(0.0195), 1000)^2, sampling steps
    1 + i * 1000 / steps.

    Raises
    ------
    TypeError, ValueError: a value of another type, or one that is not sampled with.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.0015
    beta_end: float = 0.0195
    beta_schedule: str = "scaled_linear"
    prediction_type: str = "epsilon"
    timestep_spacing: str = "leading"
    steps_offset: int = 1
    clip_sample: bool = False
    clip_sample_range: float = 1.0
    set_alpha_to_one: bool = False
    thresholding: bool = False
    dynamic_thresholding_ratio: float = 0.995
    sample_max_value: float = 1.0
    rescale_betas_zero_snr: bool = False

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise TypeError(f"{name}: wanted {kind.__name__}, got {value!r}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: wanted one of {', '.join(known)}, got "
                                 f"{getattr(self, name)!r}")
        self._check_ranges()

    def _check_ranges(self) -> None:
        ranges = {"num_train_timesteps": (1, MOST_TIMESTEPS), "beta_start": (0, 1),
                  "beta_end": (0, 1), "steps_offset": (0, self.num_train_timesteps - 1),
                  "clip_sample_range": (0, 1e6), "dynamic_thresholding_ratio": (0, 1),
                  "sample_max_value": (0, 1e6)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (isfinite(value) and low <= value <= high):
                raise ValueError(f"{name}: wanted {low}..{high}, got {value}")
        if self.rescale_betas_zero_snr and self.prediction_type == "epsilon":
            raise ValueError("rescale_betas_zero_snr: wanted a prediction_type of v_prediction or "
                             "sample, got epsilon, which says nothing where all is noise")


def schedule_of(config: Mapping[str, Any]) -> NoiseSchedule:
    """The schedule of a diffusers scheduler's configuration, whatever sampler it was saved by.

    Sampling is always DDIM. What the configuration does not say is as in diffusers; a spacing of
    linspace, which belongs to another sampler, becomes leading.

    Raises
    ------
    TypeError, ValueError: no noise schedule of betas, or one that is not sampled with.
    """
    kind = config.get("_class_name", "DDIMScheduler")
    if not {"beta_schedule", "num_train_timesteps"} <= set(config):
        raise ValueError(f"wanted a noise schedule of betas (num_train_timesteps, beta_schedule, "
                         f"...), got a {kind} without one")
    if config.get("trained_betas") is not None:
        raise ValueError("trained_betas: wanted a beta_schedule by name, got a list of betas")
    known = {"beta_start": 0.0001, "beta_end": 0.02, "steps_offset": 0,
             "clip_sample": kind in RENOISING, "set_alpha_to_one": kind != "PNDMScheduler"}
    known |= {f.name: config[f.name] for f in fields(NoiseSchedule) if f.name in config}
    if known.get("timestep_spacing") == "linspace":
        known["timestep_spacing"] = "leading"
    return NoiseSchedule(**known)

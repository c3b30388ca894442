"""How far a network is from another one that starts from the same noise."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from hqdm.learn.diffusion.sampler import initial_noise
from hqdm.learn.evaluation.images import labels_of
from hqdm.learn.evaluation.subjects import Subject


def psnr(wanted: Tensor, got: Tensor) -> float:
    """10 log10(range^2 / mean squared error) in dB; the range is that of `wanted`.

    Infinite for equal tensors.

    Raises
    ------
    ValueError: tensors of different shapes.
    """
    if wanted.shape != got.shape:
        raise ValueError(f"PSNR: wanted shape {tuple(wanted.shape)}, got {tuple(got.shape)}")
    low, high = wanted.double().aminmax()
    error = (wanted.double() - got.double()).square().mean()
    return float(10 * torch.log10((high - low).square() / error))


@dataclass(frozen=True)
class Cosines:
    """Cosines of the noise of two networks at the same latents, float64 (steps,).

    Each is the mean over images, class and null class.
    """

    values: Tensor

    @property
    def mean(self) -> float:
        """Over the steps."""
        return float(self.values.mean())

    @property
    def worst(self) -> float:
        """Of the worst step."""
        return float(self.values.min())

    @property
    def worst_step(self) -> int:
        """Its number, from 0, the noisiest."""
        return int(self.values.argmin())


@torch.no_grad()
def reference_calls(reference: Subject, n: int, *, seed: int, steps: int, guidance: float | None,
                    ) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    """(timestep, latents, labels, noise) of every call of `reference` on its own trajectory.

    Guided sampling calls with the null class and with the class.
    """
    calls = []

    def predict(latents: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        noise = reference.predict(latents, timestep, labels)
        calls.append((int(timestep), latents.cpu(), labels.cpu(), noise.cpu()))
        return noise

    watched = replace(reference, predict=predict)
    watched.sample(initial_noise(n, reference.shape, seed), labels_of(n, reference.null_class),
                   steps, guidance)
    return calls


@torch.no_grad()
def cosines(subject: Subject, calls: list[tuple[int, Tensor, Tensor, Tensor]]) -> Cosines:
    """Compare `subject` with the recorded calls of another, call by call."""
    values = []
    for timestep, latents, labels, wanted in calls:
        got = subject.predict(latents.to(subject.device),
                              torch.tensor(timestep, device=subject.device),
                              labels.to(subject.device)).cpu()
        values.append(F.cosine_similarity(got.double().flatten(1), wanted.double().flatten(1)
                                          ).mean())
    return Cosines(torch.stack(values))

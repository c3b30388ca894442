"""Training of the class-conditional UNet on latents."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from hqdm.learn.diffusion.autoencoder import decode
from hqdm.learn.diffusion.files import fingerprint, save_unet
from hqdm.learn.diffusion.presets import UNetPreset
from hqdm.learn.diffusion.sampler import TRAIN_STEPS, make_scheduler, sample_latents
from hqdm.learn.diffusion.unet import ClassConditionalUNet, make_unet
from hqdm.learn.train.batches import Batches, generator
from hqdm.learn.train.losses import snr_weights, stratified_timesteps
from hqdm.learn.train.options import Options

DROP = 0.1


class UNetTask:
    """Loss: squared error of the noise, weighted by Min-SNR; one label in ten is dropped.

    `latents` (2, N, L, H, W) are those of the images and of their mirror images; `rows` of
    the sample grid.
    """

    name = "unet"
    rows = 8

    def __init__(
        self, preset: UNetPreset, latents: Tensor, labels: Tensor, autoencoder: AutoencoderKL,
        options: Options,
    ) -> None:
        shape = (preset.latent_channels, preset.latent_size, preset.latent_size)
        if tuple(latents.shape[2:]) != shape:
            raise ValueError(f"unet preset {preset.name}: wanted latents {shape}, got "
                             f"{tuple(latents.shape[2:])}")
        self.preset, self.options = preset, options
        self.latents, self.labels = latents, labels
        self.autoencoder = autoencoder.to(options.device, memory_format=torch.channels_last)
        self.model: nn.Module = make_unet(preset, options.seed)
        self.recipe = preset.to_dict() | {
            "images": len(labels), "autoencoder": fingerprint(autoencoder), "drop": DROP}
        alphas = make_scheduler().alphas_cumprod.to(options.device)
        self._signal, self._noise = alphas.sqrt(), (1 - alphas).sqrt()
        self._weights = snr_weights(alphas)
        self._batches = Batches(len(labels), options.batch, options.seed, options.device)

    def losses(self, step: int) -> dict[str, Tensor]:
        """Weighted and plain squared error of the noise in the step's batch."""
        device = self.options.device
        random = generator(self.options.seed, step, device)
        index = self._batches(step)
        count = len(index)
        mirrored = torch.randint(2, (count,), generator=random, device=device)
        latents = self.latents[mirrored, index].float()
        dropped = torch.rand(count, generator=random, device=device) < DROP
        labels = self.labels[index].masked_fill(dropped, self.preset.classes)
        steps = stratified_timesteps(count, TRAIN_STEPS, random)
        noise = torch.randn(latents.shape, generator=random, device=device)
        noised = (self._signal[steps].view(-1, 1, 1, 1) * latents
                  + self._noise[steps].view(-1, 1, 1, 1) * noise)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            output = self.model(noised.contiguous(memory_format=torch.channels_last), steps,
                                labels)
        error = (output.float() - noise).square().mean((1, 2, 3))
        return {"loss": (self._weights[steps] * error).mean(), "mse": error.mean().detach()}

    def grid(self, average: nn.Module) -> tuple[Tensor, int]:
        """Samples of the average, one column per class."""
        assert isinstance(average, ClassConditionalUNet)
        labels = torch.arange(self.preset.classes, device=self.options.device).repeat(self.rows)
        return decode(self.autoencoder, sample_latents(average, labels)), self.preset.classes

    def export(self, path: Path, average: nn.Module, training: dict[str, Any]) -> None:
        """Write the average in half precision."""
        save_unet(path, self.preset, average.state_dict(), training)

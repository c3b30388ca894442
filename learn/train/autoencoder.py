"""Training of the autoencoder."""

from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from hqdm.learn.data.cifar10 import Dataset
from hqdm.learn.diffusion.autoencoder import decode, encode, make_autoencoder, to_signal
from hqdm.learn.diffusion.files import save_autoencoder
from hqdm.learn.diffusion.presets import AutoencoderPreset
from hqdm.learn.train.batches import Batches, generator
from hqdm.learn.train.losses import gradient_loss
from hqdm.learn.train.options import Options

KL_WEIGHT, GRADIENT_WEIGHT = 1e-6, 0.5
SHOWN, COLUMNS, SCALED = 32, 16, 2048


class AutoencoderTask:
    """Loss: L1 + 0.5 * gradient loss + 1e-6 * KL (summed over a latent)."""

    name = "autoencoder"

    def __init__(self, preset: AutoencoderPreset, data: Dataset, options: Options) -> None:
        self.preset, self.options = preset, options
        self.data = data.to(options.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.model: nn.Module = _AutoencoderLosses(make_autoencoder(preset))
        self.recipe = preset.to_dict() | {"data": data.fingerprint()}
        self._batches = Batches(len(data), options.batch, options.seed, options.device)

    def losses(self, step: int) -> dict[str, Tensor]:
        """Losses of the step's batch, half of it mirrored."""
        options = self.options
        random = generator(options.seed, step, options.device)
        images = self.data.images[self._batches(step)]
        flip = torch.rand(len(images), 1, 1, 1, generator=random, device=options.device) < 0.5
        signal = to_signal(torch.where(flip, images.flip(-1), images))
        signal = signal.contiguous(memory_format=torch.channels_last)
        size = self.preset.latent_size
        noise = torch.randn(len(images), self.preset.latent_channels, size, size,
                            generator=random, device=options.device)
        absolute, gradient, divergence = self.model(signal, noise)
        loss = absolute + GRADIENT_WEIGHT * gradient + KL_WEIGHT * divergence
        return {"loss": loss, "l1": absolute, "kl": divergence}

    def grid(self, average: nn.Module) -> tuple[Tensor, int]:
        """Pairs of rows: images, and what comes back."""
        model = _autoencoder(average)
        columns = min(COLUMNS, len(self.data))
        images = self.data.images[:min(SHOWN, len(self.data)) // columns * columns]
        back = decode(model, encode(model, images))
        pairs = zip(images.split(columns), back.split(columns), strict=True)
        return torch.cat([row for pair in pairs for row in pair]), columns

    def export(self, path: Path, average: nn.Module, training: dict[str, Any]) -> None:
        """Write autoencoder and decoder, with 1 / deviation of the latents as scaling factor."""
        model = _autoencoder(average)
        latents, errors = [], []
        for images in self.data.images[:SCALED].split(256):
            mean = encode(model, images)
            latents.append(mean)
            errors.append((decode(model, mean).float() - images.float()).square().mean())
        psnr = 10 * torch.log10(255 ** 2 / torch.stack(errors).mean())
        factor = float(1 / torch.cat(latents).std())
        training = training | {"psnr_db": round(float(psnr), 2)}
        save_autoencoder(path, self.preset, model.state_dict(), factor, training)
        save_autoencoder(path.with_name("decoder.safetensors"), self.preset, model.state_dict(),
                         factor, training, decoder_only=True)


class _AutoencoderLosses(nn.Module):
    """The autoencoder with its loss, so that compiling takes both."""

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.autocast(signal.device.type, torch.bfloat16):
            latent = self.autoencoder.encode(signal).latent_dist
            output = self.autoencoder.decode(latent.mean + latent.std * noise).sample
        output = output.float()
        return F.l1_loss(output, signal), gradient_loss(output, signal), latent.kl().mean()


def _autoencoder(module: nn.Module) -> AutoencoderKL:
    return cast(AutoencoderKL, cast(_AutoencoderLosses, module).autoencoder)

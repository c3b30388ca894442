"""KL or VQ: two autoencoders of one size, trained alike; `python -m bench.autoencoder_choice`.

The same encoder, decoder, images, steps and reconstruction loss. VQ has `diffusers.VQModel`'s
codebook (and its commitment loss) where KL has a mean and a deviation. Prints the PSNR of test
images as training goes, and a table in Markdown at the end.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, VQModel
from torch import Tensor, nn

from bench.command import one_line_errors
from hqdm.learn.data.cifar10 import Dataset, load_cifar10
from hqdm.learn.diffusion.autoencoder import make_autoencoder, to_images, to_signal
from hqdm.learn.diffusion.presets import AUTOENCODERS, AutoencoderPreset
from hqdm.learn.train.autoencoder import GRADIENT_WEIGHT, KL_WEIGHT
from hqdm.learn.train.batches import Batches
from hqdm.learn.train.losses import gradient_loss

CODES, COMMITMENT = 8192, 0.25
Step = Callable[[Tensor], tuple[Tensor, Tensor]]    # signal to (output, further losses)


@dataclass(frozen=True)
class Candidate:
    """A model, its step in training, and what it makes of a signal afterwards."""

    name: str
    model: nn.Module
    step: Step
    reconstruct: Callable[[Tensor], Tensor]


def kl(preset: AutoencoderPreset) -> Candidate:
    """Continuous latents, trained with noise of their own deviation."""
    model = make_autoencoder(preset)

    def step(signal: Tensor) -> tuple[Tensor, Tensor]:
        latent = model.encode(signal).latent_dist
        noise = torch.randn_like(latent.mean)
        output = model.decode(latent.mean + latent.std * noise).sample
        return output, KL_WEIGHT * latent.kl().mean()

    def reconstruct(signal: Tensor) -> Tensor:
        return model.decode(model.encode(signal).latent_dist.mean).sample
    return Candidate("KL", model, step, reconstruct)


def vq(preset: AutoencoderPreset, codes: int) -> Candidate:
    """Latents of `codes` vectors."""
    reference: AutoencoderKL = make_autoencoder(preset)
    config = reference.config
    model = VQModel(
        in_channels=3, out_channels=3, latent_channels=preset.latent_channels,
        down_block_types=config.down_block_types, up_block_types=config.up_block_types,
        block_out_channels=preset.channels, layers_per_block=preset.blocks,
        norm_num_groups=preset.groups, sample_size=preset.size, num_vq_embeddings=codes,
        mid_block_add_attention=False)

    def step(signal: Tensor) -> tuple[Tensor, Tensor]:
        quantised, loss, _ = model.quantize(model.encode(signal).latents)
        return model.decode(quantised, force_not_quantize=True).sample, COMMITMENT * loss

    def reconstruct(signal: Tensor) -> Tensor:
        return model.decode(model.encode(signal).latents).sample
    return Candidate(f"VQ, {codes:,} codes", model, step, reconstruct)


@torch.no_grad()
def psnr(candidate: Candidate, images: Tensor) -> float:
    """dB over `images`, uint8 (B, 3, H, W)."""
    candidate.model.eval()
    errors = [(to_images(candidate.reconstruct(to_signal(part))).float() - part.float()).square()
              for part in images.split(200)]
    candidate.model.train()
    return float(10 * torch.log10(255 ** 2 / torch.cat(errors).mean()))


def train(candidate: Candidate, data: Dataset, test: Tensor, options: argparse.Namespace,
          ) -> tuple[float, float]:
    """(PSNR of the test images, seconds) after the steps, at a rate that falls along a cosine."""
    begun = time.monotonic()
    optimiser = torch.optim.AdamW(candidate.model.parameters(), options.rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
    batches = Batches(len(data), options.batch, options.seed, "cpu")
    for step in range(options.steps):
        signal = to_signal(data.images[batches(step)])
        with torch.autocast("cpu", torch.bfloat16):
            output, further = candidate.step(signal)
        output = output.float()
        loss = (F.l1_loss(output, signal) + GRADIENT_WEIGHT * gradient_loss(output, signal)
                + further.float())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(candidate.model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % options.every == 0 and step + 1 < options.steps:
            print(f"{candidate.name}: {step + 1} of {options.steps} steps, "
                  f"{psnr(candidate, test):.2f} dB", file=sys.stderr, flush=True)
    return psnr(candidate, test), time.monotonic() - begun


@one_line_errors
def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, or 2 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="CIFAR-10")
    add("--preset", default="cifar10-small", choices=AUTOENCODERS, help="(%(default)s)")
    add("--steps", type=int, default=1500, help="(%(default)s)")
    add("--batch", type=int, default=32, help="images per step (%(default)s)")
    add("--rate", type=float, default=1e-3, help="learning rate (%(default)s)")
    add("--codes", type=int, default=CODES, help="of VQ (%(default)s)")
    add("--test", type=int, default=1000, help="test images (%(default)s)")
    add("--every", type=int, default=250, help="steps between two lines (%(default)s)")
    add("--seed", type=int, default=0, help="(%(default)s)")
    options = parser.parse_args(arguments)
    data, test = load_cifar10(options.data), load_cifar10(options.data, "test")
    if min(options.steps, options.batch, options.test, options.every, options.codes) < 1:
        raise ValueError("wanted steps, batch, test images, codes and every of at least 1")
    preset = AUTOENCODERS[options.preset]
    print(f"| latents | steps of {options.batch} | PSNR, {options.test} test images | seconds |")
    print("|---|--:|--:|--:|")
    for make in (lambda: kl(preset), lambda: vq(preset, options.codes)):
        torch.manual_seed(options.seed)
        candidate = make()
        quality, seconds = train(candidate, data, test.images[:options.test], options)
        print(f"| {candidate.name} | {options.steps} | {quality:.2f} dB | {seconds:.0f} |",
              flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

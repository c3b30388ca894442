"""All the latents of a data set, encoded once and cached."""

from contextlib import suppress
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from hqdm.kit.cache import cache_root
from hqdm.kit.tensor_file import Checkpoint, load_if_whole, save_checkpoint
from hqdm.learn.data.cifar10 import Dataset
from hqdm.learn.diffusion.autoencoder import encode
from hqdm.learn.diffusion.files import fingerprint


def encode_all(
    autoencoder: AutoencoderKL, data: Dataset, device: str, cache: Path | None = None,
    batch: int = 500,
) -> tuple[Tensor, Tensor]:
    """float16 latents (2, N, L, H, W) of the images and of their mirror images, and the labels.

    Cached under what tells the autoencoder's weights and the data apart; on `device`.
    """
    key = f"{data.fingerprint()}-{fingerprint(autoencoder)}"
    path = cache_root(cache) / "data" / f"latents-{key}.safetensors"
    if (kept := load_if_whole(path, "latents", {
            "latents": (torch.float16, (2, len(data), None, None, None)),
            "labels": (torch.int64, (len(data),))})) is not None:
        return kept.tensors["latents"].to(device), kept.tensors["labels"].to(device)
    autoencoder = autoencoder.to(device, memory_format=torch.channels_last)
    parts = [encode(autoencoder, images.to(device)).half().cpu()
             for split in (data, data.flipped()) for images in split.images.split(batch)]
    latents = torch.cat(parts).unflatten(0, (2, len(data))).contiguous()
    with suppress(OSError):     # a cache that cannot be written costs time alone
        save_checkpoint(path, Checkpoint(
            kind="latents", architecture={}, training={}, tensors={
                "latents": latents, "labels": data.labels}))
    return latents.to(device), data.labels.to(device)

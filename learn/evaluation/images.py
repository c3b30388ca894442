"""Images and features that are kept as they are made: files of 50, by where they start.

An interrupted evaluation goes on with the first file that is missing; a larger n adds files.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, load_if_whole, save_checkpoint
from hqdm.learn.diffusion.autoencoder import decode
from hqdm.learn.diffusion.sampler import initial_noise
from hqdm.learn.evaluation.extractors import Extractor
from hqdm.learn.evaluation.subjects import Subject

CHUNK = 50
Tick = Callable[[int, int], None]
Tensors = dict[str, Tensor]


class Shelf:
    """Rows of named tensors in `folder`, in files of CHUNK rows.

    Parameters
    ----------
    source: what they are made from; part of the folder's name.
    cached: in the build cache, where a damaged file is made again, not reported.
    """

    def __init__(self, root: Path, name: str, source: dict[str, Any], cached: bool = False,
                 ) -> None:
        key = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:12]
        self.folder, self.source = Path(root) / f"{name}-{key}", source
        self.cached = cached

    def path(self, start: int) -> Path:
        """File of the rows from `start`."""
        return self.folder / f"{start:06d}.safetensors"

    def read(self, start: int, rows: int) -> Tensors:
        """The first `rows` of a file; ValueError if it is damaged, or another's."""
        tensors = load_checkpoint(self.path(start), "rows", self.source).tensors
        return {k: t[:rows] for k, t in tensors.items()}

    def write(self, start: int, tensors: Tensors) -> None:
        """Write whole files of `tensors`, whose first row is row `start`."""
        count = len(next(iter(tensors.values())))
        for at in range(0, count, CHUNK):
            part = {k: t[at:at + CHUNK].contiguous() for k, t in tensors.items()}
            save_checkpoint(self.path(start + at), Checkpoint(
                kind="rows", architecture=self.source, tensors=part, training={}))

    def fill(self, n: int, batch: int, make: Callable[[int, int], Tensors], tick: Tick) -> Tensors:
        """The first `n` rows; `make(first, last)` makes those that are missing."""
        for first, last in self._gaps(n, max(CHUNK, batch // CHUNK * CHUNK)):
            tick(first, n)
            self.write(first, make(first, last))
        tick(n, n)
        parts = [self.read(start, min(CHUNK, n - start)) for start in range(0, n, CHUNK)]
        return {k: torch.cat([p[k] for p in parts]) for k in parts[0]}

    def _gaps(self, n: int, batch: int) -> Iterator[tuple[int, int]]:
        """(first, last) of neighbouring missing files, at most `batch` rows."""
        start = 0
        while start < n:
            last = start
            while last < n and last - start < batch and self._missing(last, n):
                last = min(last + CHUNK, n)
            if last > start:
                yield start, last
            start = max(last, start + CHUNK)

    def _missing(self, start: int, n: int) -> bool:
        """Without reading the rows; `read` verifies them."""
        if not self.path(start).is_file():
            return True
        if self.cached and load_if_whole(self.path(start), "rows") is None:
            return True
        try:
            with safe_open(self.path(start), framework="pt") as file:
                rows = [file.get_slice(name).get_shape()[0] for name in file.keys()]
        except SafetensorError:
            return False        # damaged: `read` says so
        return min(rows) < min(CHUNK, n - start)


def labels_of(n: int, classes: int) -> Tensor:
    """int64 (n,): the classes in turn; zeros without classes."""
    return torch.arange(n) % max(1, classes)


def generate(subject: Subject, decoder: Any | None, root: Path, n: int, *, seed: int,
             steps: int, guidance: float | None, batch: int, tick: Tick, decoder_digest: str = "",
             ) -> tuple[Tensors, Shelf]:
    """`images` uint8 (n, 3, H, W) and `latents` float32 (n, L, h, w), and where they are kept.

    Image i depends on the seed and i alone; its class is i modulo the number of classes.
    """
    subject.check_steps(steps)
    shelf = Shelf(root, subject.name, {
        "model": subject.digest, "decoder": decoder_digest, "seed": seed, "steps": steps,
        "guidance": guidance})
    device = subject.device if decoder is None else next(decoder.parameters()).device
    start, labels = initial_noise(n, subject.shape, seed), labels_of(n, subject.null_class)

    def make(first: int, last: int) -> Tensors:
        latents = subject.sample(start[first:last], labels[first:last], steps, guidance)
        if not bool(latents.isfinite().all()):
            raise RuntimeError(f"{subject.name}: wanted finite latents, got NaN or infinity")
        return {"latents": latents, "images": decode(decoder, latents.to(device)).cpu()}

    return shelf.fill(n, batch, make, tick), shelf


def extract(extractor: Extractor, images: Tensor, root: Path, name: str, source: dict[str, Any],
            batch: int, tick: Tick, cached: bool = False) -> Tensors:
    """`features` (n, D) and `scores` (n, K) of `images`, kept like them."""
    shelf = Shelf(root, name, source | {"extractor": extractor.name}, cached)

    def make(first: int, last: int) -> Tensors:
        parts = [extractor(p) for p in images[first:last].split(batch)]
        features, scores = (torch.cat(p) for p in zip(*parts, strict=True))
        return {"features": features, "scores": scores}

    return shelf.fill(len(images), batch, make, tick)

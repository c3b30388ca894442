"""The evaluation: real features, images of every network, their metrics and distances."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hqdm.kit.cache import cache_root
from hqdm.kit.files import write_atomically
from hqdm.learn.data.cifar10 import Dataset
from hqdm.learn.diffusion.files import load_decoder
from hqdm.learn.diffusion.grid import save_grid
from hqdm.learn.evaluation.distance import cosines, psnr, reference_calls
from hqdm.learn.evaluation.extractors import Extractor
from hqdm.learn.evaluation.images import Tensors, extract, generate
from hqdm.learn.evaluation.metrics import frechet_distance, inception_score, kernel_distance
from hqdm.learn.evaluation.neighbours import NEIGHBOURS, precision_recall
from hqdm.learn.evaluation.subjects import Subject, load_subject
from hqdm.spec.plain import parse_object

COVERED = 10_000        # most images of a set that precision and recall look at
Say = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is evaluated, and how.

    Parameters
    ----------
    models: checkpoints; the first is the reference of the distances.
    decoder: of the latents, as of `load_decoder`.
    out: folder of the results. images: of images and features, by default OUT/images.
    n: images of each network. calls: of them, compared call by call.
    guidance: by default of the reference, `Subject.guidance`.
    real: training images that the generated ones are compared with.
    batch: images at a time.

    Raises
    ------
    ValueError: numbers out of range.
    """

    models: Sequence[Path]
    decoder: Path | None
    out: Path
    images: Path | None = None
    n: int = 2000
    seed: int = 1
    steps: int = 20
    guidance: float | None = None
    real: int = 10_000
    calls: int = 32
    batch: int = 50
    columns: int = 20
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("--models: wanted at least one checkpoint, got none")
        for name, value, low in (
                ("-n", self.n, NEIGHBOURS + 1), ("--real", self.real, NEIGHBOURS + 1),
                ("--seed", self.seed, 0), ("--steps", self.steps, 1), ("--calls", self.calls, 1),
                ("--batch", self.batch, 1), ("--columns", self.columns, 1)):
            if value < low:
                raise ValueError(f"{name}: wanted at least {low}, got {value}")


    @property
    def shelves(self) -> Path:
        """The folder of images and features."""
        return self.out / "images" if self.images is None else self.images


@dataclass(frozen=True)
class Real:
    """Features of real images: `train`, and as many of `test` as are generated.

    `key` tells images and extractor apart.
    """

    train: Tensors
    test: Tensors
    key: str


def real_features(train: Dataset, test: Dataset, plan: Plan, extractor: Extractor, say: Say,
                  cache: Path | None = None) -> Real:
    """Features of a fixed random choice of images, kept in the cache folder."""
    found = []
    for name, data, count in (("train", train, plan.real), ("test", test, plan.n)):
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        images = data.images[order[:count]]
        found.append(extract(
            extractor, images, cache_root(cache) / "features", name,
            {"data": data.fingerprint()}, plan.batch, partial(say, f"{name} features"),
            cached=True))
    key = hashlib.sha256(f"{train.fingerprint()} {test.fingerprint()} {plan.real} "
                         f"{extractor.name}".encode()).hexdigest()[:8]
    return Real(found[0], found[1], key)


def scores(real: Tensors, fake: Tensors, device: str = "cpu") -> dict[str, Any]:
    """Every metric of two sets of features, with the numbers of images."""
    a, b = real["features"], fake["features"]
    distance, (score, spread) = frechet_distance(a, b), inception_score(fake["scores"])
    if device == "cuda":        # its float32 may be rounded further, its float64 is quick
        a, b = a.to(device, torch.float64), b.to(device, torch.float64)
    kernel, deviation = kernel_distance(a, b)
    precision, recall = precision_recall(a[:COVERED], b[:COVERED])
    return {"n": len(b), "n_real": len(a), "fd": distance, "kid": kernel, "kid_std": deviation,
            "is": score, "is_std": spread, "precision": precision, "recall": recall}


def kept_scores(path: Path, real: Tensors, fake: Tensors, device: str) -> dict[str, Any]:
    """`scores`, kept in `path`."""
    if path.is_file():
        with suppress(ValueError):      # a damaged file is made again
            return parse_object(path.read_bytes(), str(path))
    found = scores(real, fake, device)
    write_atomically(path, json.dumps(found))
    return found


def evaluate(plan: Plan, train: Dataset, test: Dataset, extractor: Extractor, say: Say,
             cache: Path | None = None, real: Real | None = None) -> dict[str, Any]:
    """Everything, as plain data; writes OUT/grid.png.

    Parameters
    ----------
    real: the features of `train` and `test`, where they are at hand.
    say: called with (what, done, of) as it goes.

    Raises
    ------
    FileNotFoundError, ValueError: bad checkpoints, other latents than the reference's, or other
        steps than a network was quantised for; before anything is generated.
    """
    begun = time.monotonic()
    subjects = named([load_subject(path, plan.device) for path in plan.models], plan.models)
    plan = replace(plan, guidance=subjects[0].guidance(plan.guidance))
    for subject in subjects:
        subject.check_steps(plan.steps)
        subject.guidance(plan.guidance)
        if subject.shape != subjects[0].shape:
            raise ValueError(f"{subject.name}: wanted latents of {subjects[0].shape} as the "
                             f"reference, got {subject.shape}")
    decoder, decoder_digest = load_decoder(plan.decoder, subjects[0].shape[0])
    decoder = decoder if decoder is None else decoder.to(plan.device)
    real = real or real_features(train, test, plan, extractor, say, cache)
    calls = reference_calls(subjects[0], min(plan.calls, plan.n), seed=plan.seed,
                            steps=plan.steps, guidance=plan.guidance)
    floor = kept_scores(plan.shelves / f"floor-{plan.n}-{real.key}.json", real.train, real.test,
                        plan.device)
    rows, pictures, reference = {}, [], None
    for subject in subjects:
        made, row = _one(subject, plan, decoder, decoder_digest, extractor, real, say)
        if reference is None:
            reference = made["latents"]
        else:
            row |= _distances(subject, reference, made["latents"], calls, plan)
        rows[subject.name] = row
        pictures.append(made["images"][:plan.columns])
    save_grid(plan.out / "grid.png", torch.cat(pictures), min(plan.columns, plan.n), scale=2)
    return {
        "extractor": extractor.name, "n": plan.n, "seed": plan.seed, "steps": plan.steps,
        "guidance": plan.guidance, "reference": subjects[0].name,
        "floor": floor, "models": rows,
        "grid": str(plan.out / "grid.png"), "seconds": time.monotonic() - begun}


def _one(subject: Subject, plan: Plan, decoder: Any, decoder_digest: str, extractor: Extractor,
         real: Real, say: Say) -> tuple[Tensors, dict[str, Any]]:
    """Images of one network, and its row."""
    begun = time.monotonic()
    made, shelf = generate(
        subject, decoder, plan.shelves, plan.n, seed=plan.seed, steps=plan.steps,
        guidance=plan.guidance, batch=plan.batch, decoder_digest=decoder_digest,
        tick=partial(say, f"{subject.name} images"))
    sampled = time.monotonic() - begun
    fake = extract(extractor, made["images"], plan.shelves, f"{subject.name}-features",
                   shelf.source, plan.batch, partial(say, f"{subject.name} features"))
    about = {"kind": subject.kind, "digest": subject.digest, "about": subject.about}
    path = shelf.folder / f"scores-{plan.n}-{real.key}.json"
    found = kept_scores(path, real.train, fake, plan.device)
    return made, about | found | {"sampling_seconds": sampled}


def _distances(subject: Subject, reference: Tensor, latents: Tensor, calls: Any, plan: Plan,
               ) -> dict[str, Any]:
    """To the reference; a PSNR of None says that the latents are the same."""
    found, ratio = cosines(subject, calls), psnr(reference, latents)
    return {"psnr": ratio if isfinite(ratio) else None, "cosine": found.mean,
            "cosine_worst": found.worst, "cosine_worst_step": found.worst_step,
            "n_cosine": min(plan.calls, plan.n)}


def named(subjects: Sequence[Subject], paths: Sequence[Path]) -> list[Subject]:
    """The subjects under names that differ: file names, with the folder where those repeat."""
    names = [s.name for s in subjects]
    if len(set(names)) < len(names):
        names = [f"{Path(p).resolve().parent.name}-{n}" for p, n in zip(paths, names, strict=True)]
    if len(set(names)) < len(names):
        raise ValueError(f"--models: wanted different files, got {', '.join(names)}")
    return [replace(s, name=n) for s, n in zip(subjects, names, strict=True)]

"""The state of a sampling run on the device: a file beside the output, from which it goes on.

Every step has a digest over the arguments, the step before, its record, latents and noise: a file
put together from others' steps does not hold. What a step must have, its run says.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hqdm.kit.check import check_int, check_tensor
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.spec.plain import from_plain, shown, to_plain
from hqdm.spec.stalls import Spent

KIND = "sampling by layers"      # whose records have the cycles of every layer
MAX_ELEMENTS = 1 << 26           # of a tensor that is compared


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one step of one image took, over both halves of the guidance.

    Members
    -------
    layers: cycles of every node of the network, over all calls, by the performance counters.
    layers_compared, mismatches: tensors compared with golden, values that differ.
    first: the first mismatch in words, or "".
    device_seconds, host_seconds, golden_seconds: in the simulation, in host stages, comparing.
    """

    image: int
    step: int
    calls: int
    layers: tuple[Spent, ...]
    layers_compared: int
    mismatches: int
    first: str
    device_seconds: float
    host_seconds: float
    golden_seconds: float

    @property
    def spent(self) -> Spent:
        """Cycles of the whole step."""
        return sum(self.layers, Spent())


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the steps of a run have.

    Members
    -------
    images, steps: images of the run, steps of each.
    calls, nodes: calls of the network in a step, nodes of the network.
    compared: tensors that a call compares with golden.
    shape: of a latent.
    """

    images: int
    steps: int
    calls: int
    nodes: int
    compared: int
    shape: tuple[int, int, int]

    def check(self, index: int, record: StepRecord, latents: Tensor, noise: Tensor) -> None:
        """Raise TypeError or ValueError unless these can be those of step `index`, from 0 on."""
        name = f"step {index}"
        for key, got, wanted in (
            ("image", record.image, index // self.steps), ("step", record.step, index % self.steps),
            ("calls", record.calls, self.calls), ("layers", len(record.layers), self.nodes),
            ("layers_compared", record.layers_compared, self.calls * self.compared),
        ):
            if got != wanted:
                raise ValueError(f"{name}: {key}: wanted {wanted}, got {got}")
        check_int(f"{name}: image", record.image, 0, self.images - 1)
        check_int(f"{name}: mismatches", record.mismatches, 0,
                  record.layers_compared * MAX_ELEMENTS)
        if record.mismatches and not record.first:
            raise ValueError(f"{name}: first: wanted the first mismatch in words, got none")
        for key in ("device_seconds", "host_seconds", "golden_seconds"):
            if getattr(record, key) < 0:
                raise ValueError(f"{name}: {key}: wanted 0 or more, got {getattr(record, key)}")
        for key, tensor, shape in (("latents", latents, self.shape),
                                   ("noise", noise, (self.calls, *self.shape))):
            check_tensor(f"{name}: {key}", tensor, torch.float32, shape)
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"{name}: {key}: wanted finite numbers, got NaN or infinity")


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """The header of a file: the steps and the digest of each."""

    records: tuple[StepRecord, ...]
    digests: tuple[str, ...]


class SamplingState:
    """Steps that are done: their latents, noise and records, image by image.

    Parameters
    ----------
    path: of the file; it need not exist. None keeps the steps in memory alone.
    arguments: plain data that tells runs apart.
    run: what every step must have, read or added.

    Members
    -------
    records: of the steps that are done, in order.
    resumed: how many of them were read from the file.

    Raises
    ------
    ValueError: the file belongs to a run of other arguments, or is damaged, or holds steps that
        are none of such a run.
    OSError: the file cannot be written.
    """

    def __init__(self, path: Path | None, arguments: dict[str, Any], run: Run) -> None:
        self.path, self.arguments, self.run = path, arguments, run
        self.records: list[StepRecord] = []
        self._latents: list[Tensor] = []
        self._noise: list[Tensor] = []
        self._digests: list[str] = []
        self.resumed = 0
        if path is not None and path.is_file():
            self._load(path)
        else:
            self._save()        # what cannot be written is known before hours are spent

    def _load(self, path: Path) -> None:
        read = load_checkpoint(path, KIND)
        for key in sorted({*read.architecture, *self.arguments}):
            wanted, got = self.arguments.get(key), read.architecture.get(key)
            if wanted != got:
                raise ValueError(
                    f"{self.path}: the state of another run: wanted {key} {wanted}, got "
                    f"{shown(got)}; repeat that command, or remove the file to start again")
        try:
            self._take(from_plain(_Steps, read.training), read.tensors)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.path}: {error}") from error
        self.resumed = len(self.records)

    def _take(self, steps: _Steps, tensors: dict[str, Tensor]) -> None:
        """Keep what a file holds, step by step, each as if it had just been computed."""
        count = len(steps.records)
        wanted = {"latents", "noise"} if count else set()
        if set(tensors) != wanted or any(t.dim() < 1 or len(t) != count for t in tensors.values()):
            got = {name: tuple(t.shape) for name, t in tensors.items()}
            raise ValueError(f"wanted latents and noise of {count} steps, got {shown(got)}")
        for record, latents, noise in zip(
                steps.records, *(tensors.get(n, ()) for n in ("latents", "noise")), strict=True):
            self._keep(record, latents, noise)
        if tuple(self._digests) != steps.digests:
            raise ValueError("digests: wanted those of the steps, got others; the file was altered")

    def _keep(self, record: StepRecord, latents: Tensor, noise: Tensor) -> None:
        self.run.check(len(self.records), record, latents, noise)
        before = self._digests[-1] if self._digests else ""
        text = json.dumps([self.arguments, before, to_plain(record)], sort_keys=True)
        self._digests.append(sha256(b"".join([
            text.encode(), *(t.contiguous().numpy().tobytes() for t in (latents, noise))
        ])).hexdigest())
        self.records.append(record)
        self._latents.append(latents.clone())
        self._noise.append(noise.clone())

    def _save(self) -> None:
        if self.path is None:
            return
        tensors = {} if not self.records else {
            "latents": torch.stack(self._latents), "noise": torch.stack(self._noise)}
        save_checkpoint(self.path, Checkpoint(
            kind=KIND, architecture=self.arguments, tensors=tensors,
            training={"records": [to_plain(record) for record in self.records],
                      "digests": self._digests}))

    def find(self, image: int, step: int, latents: Tensor) -> Tensor | None:
        """Noise of a step that is done; None if it is not.

        Parameters
        ----------
        latents: float32, what the step starts from: must be what it started from then.

        Raises
        ------
        ValueError: other latents.
        """
        for record, start, noise in zip(self.records, self._latents, self._noise, strict=True):
            if (record.image, record.step) == (image, step):
                if not torch.equal(start, latents):
                    raise ValueError(f"{self.path}: wanted the latents of image {image}, step "
                                     f"{step}, got others; remove the file to start again")
                return noise
        return None

    def add(self, record: StepRecord, latents: Tensor, noise: Tensor) -> None:
        """Keep a step: latents before it, noise of all its calls; writes the file."""
        self._keep(record, latents, noise)
        self._save()

    def remove(self) -> None:
        """Remove the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

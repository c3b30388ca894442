"""The state of a sampling run on the device: a file beside the output, from which it goes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.spec.plain import from_plain, to_plain
from hqdm.spec.stalls import Spent

KIND = "sampling by layers"      # whose records have the cycles of every layer


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


class SamplingState:
    """Steps that are done: their latents, noise and records, image by image.

    Parameters
    ----------
    path: of the file; it need not exist. None keeps the steps in memory alone.
    arguments: plain data that tells runs apart.

    Members
    -------
    records: of the steps that are done, in order.

    Raises
    ------
    ValueError: the file belongs to a run of other arguments, or is damaged.
    OSError: the file cannot be written.
    """

    def __init__(self, path: Path | None, arguments: dict[str, Any]) -> None:
        self.path, self.arguments = path, arguments
        self.records: list[StepRecord] = []
        self._latents: list[Tensor] = []
        self._noise: list[Tensor] = []
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
                    f"{self.path}: the state of another run: wanted {key} {wanted}, got {got}; "
                    f"repeat that command, or remove the file to start again")
        self.records = [from_plain(StepRecord, record) for record in read.training["records"]]
        if self.records:
            self._latents = list(read.tensors["latents"])
            self._noise = list(read.tensors["noise"])

    def _save(self) -> None:
        if self.path is None:
            return
        tensors = {} if not self.records else {
            "latents": torch.stack(self._latents), "noise": torch.stack(self._noise)}
        save_checkpoint(self.path, Checkpoint(
            kind=KIND, architecture=self.arguments, tensors=tensors,
            training={"records": [to_plain(record) for record in self.records]}))

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
        self.records.append(record)
        self._latents.append(latents.clone())
        self._noise.append(noise.clone())
        self._save()

    def remove(self) -> None:
        """Remove the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

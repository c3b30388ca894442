"""Any checkpoint as a predictor of noise: float, quantised or integer network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.network.network_file import network_of
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint
from hqdm.learn.diffusion.files import unet_of
from hqdm.learn.diffusion.sampler import Noise, guided, make_scheduler, run_ddim
from hqdm.learn.qat.export import quantised_of
from hqdm.learn.qat.methods import Method
from hqdm.learn.qat.trajectory import predict as unet_noise

KINDS = ("unet", "quantised", "integers")


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that is sampled from.

    Members
    -------
    name, kind: of the file, without its ending; one of KINDS.
    digest: 16 hexadecimal digits of the checkpoint's SHA-256.
    predict: (latents, timestep (), labels) to the noise, without guidance.
    shape: of a latent.
    null_class: the label of no class; those below are classes.
    schedule: the timesteps it was quantised for; None for any.
    device: its latents must be on.
    about: how it was made, as plain data.
    integers: the network itself, of an integer network only.
    """

    name: str
    kind: str
    digest: str
    predict: Noise
    shape: tuple[int, int, int]
    null_class: int
    schedule: tuple[int, ...] | None
    device: str
    about: dict[str, Any]
    integers: IntegerNetwork | None = None

    def check_steps(self, steps: int) -> None:
        """ValueError unless the network can be sampled in so many steps."""
        scheduler = make_scheduler()
        scheduler.set_timesteps(steps)
        wanted = tuple(scheduler.timesteps.tolist())
        if self.schedule is not None and not set(wanted) <= set(self.schedule):
            raise ValueError(f"{self.name}: quantised for {len(self.schedule)} steps, got "
                             f"--steps {steps}")

    def sample(self, start: Tensor, labels: Tensor, steps: int, guidance: float,
               watch: Callable[[int, int, Tensor], None] | None = None) -> Tensor:
        """Latents float32 on the CPU, from unit noise `start`; `watch` as of run_ddim."""
        self.check_steps(steps)
        noise = guided(self.predict, self.null_class, guidance)
        return run_ddim(noise, start.to(self.device), labels.to(self.device), steps, watch).cpu()


def load_subject(path: Path, device: str = "cpu") -> Subject:
    """The network of `path`; integer networks stay on the CPU.

    Raises
    ------
    FileNotFoundError, ValueError: no file, a damaged, altered or foreign one.
    """
    return subject_of(path, load_checkpoint(path, KINDS), device)


def subject_of(path: Path, read: Checkpoint, device: str = "cpu") -> Subject:
    """As `load_subject`, of a checkpoint of one of KINDS that has been read from `path`."""
    makers = {"unet": _float, "quantised": _quantised, "integers": _integers}
    return makers[read.kind](Path(path), read, device)


def _float(path: Path, read: Checkpoint, device: str) -> Subject:
    model = unet_of(path, read).requires_grad_(False).to(device)
    preset = model.preset
    size = preset.latent_size
    return Subject(path.stem, read.kind, read.digest[:16], model,
                   (preset.latent_channels, size, size), model.null_class, None, device,
                   {"preset": preset.name})


def _quantised(path: Path, read: Checkpoint, device: str) -> Subject:
    student, tokens = quantised_of(path, read)
    if tokens is None:
        raise ValueError(f"{path}: wanted a class-conditional network, got one without classes")
    model, rows = student.model.to(device), tokens.to(device)

    def predict(latents: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        return unet_noise(model, latents, timestep, rows[labels][:, None])

    config = read.architecture["config"]
    size = int(config["sample_size"])
    about = {"method": Method(**read.architecture["method"]).label,
             "iterations": read.training.get("iterations"),
             "seed": read.training.get("recipe", {}).get("seed"),
             "seconds": read.training.get("seconds")}
    return Subject(path.stem, read.kind, read.digest[:16], predict,
                   (int(config["in_channels"]), size, size), len(tokens) - 1,
                   student.timestep.schedule, device, about)


def _integers(path: Path, read: Checkpoint, device: str) -> Subject:
    network, about = network_of(read)
    if "schedule" not in about:
        raise ValueError(f"{path}: wanted the timesteps of the network's tables, got none")
    schedule = tuple(int(t) for t in about["schedule"])
    entry = {t: index for index, t in enumerate(schedule)}

    def predict(latents: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        return network(latents, entry[int(timestep)], labels)

    spec = network.network.tensor(network.network.input)
    return Subject(path.stem, read.kind, read.digest[:16], predict,
                   (spec.channels, spec.height, spec.width), network.network.classes - 1,
                   schedule, "cpu", {k: v for k, v in about.items() if k != "schedule"}, network)

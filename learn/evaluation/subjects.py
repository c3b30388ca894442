"""Any checkpoint as a predictor of noise: float, quantised or integer network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.network.network_file import network_of
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint
from hqdm.learn.diffusion.files import fingerprint, unet_of
from hqdm.learn.diffusion.noise_schedule import NoiseSchedule
from hqdm.learn.diffusion.sampler import (
    TRAINED,
    Noise,
    guided,
    make_scheduler,
    run_ddim,
    timesteps_of,
)
from hqdm.learn.qat.export import quantised_of
from hqdm.learn.qat.methods import Method
from hqdm.learn.qat.teacher import context_of, folder_teacher
from hqdm.learn.qat.teacher import predict as unet_noise
from hqdm.learn.qat.timestep import check_schedule
from hqdm.spec.plain import from_plain, to_plain

KINDS = ("unet", "quantised", "integers")
GUIDANCE = 2.0          # of a network that has a null class, where none is asked for


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that is sampled from.

    Members
    -------
    name, kind: of the file, without its ending; one of KINDS.
    digest: 16 hexadecimal digits of the checkpoint's SHA-256.
    predict: (latents, timestep (), labels) to the noise, without guidance.
    shape: of a latent.
    null_class: the label of no class; those below are classes. 0 of an unconditional network, all
        of whose labels are 0.
    guided: whether the network knows the null class, for classifier-free guidance.
    schedule: the timesteps it was quantised for; None for any.
    device: its latents must be on.
    about: how it was made, as plain data.
    integers: the network itself, of an integer network only.
    noise_schedule: it was trained on.
    """

    name: str
    kind: str
    digest: str
    predict: Noise
    shape: tuple[int, int, int]
    null_class: int
    guided: bool
    schedule: tuple[int, ...] | None
    device: str
    about: dict[str, Any]
    integers: IntegerNetwork | None = None
    noise_schedule: NoiseSchedule = TRAINED

    def guidance(self, asked: float | None) -> float:
        """The guidance asked for, or 2 of a network with a null class and 1 of another.

        Raises
        ------
        ValueError: guidance of a network that has no null class.
        """
        if asked is None:
            return GUIDANCE if self.guided else 1.0
        if asked != 1 and not self.guided:
            kind = "no null class" if self.null_class else "no classes"
            raise ValueError(f"--guidance: wanted 1, as {self.name} has {kind}, got {asked:g}")
        return asked

    def check_steps(self, steps: int) -> None:
        """ValueError unless the network can be sampled in so many steps."""
        wanted = timesteps_of(make_scheduler(self.noise_schedule), steps)
        if self.schedule is not None and not set(wanted) <= set(self.schedule):
            raise ValueError(f"{self.name}: quantised for {len(self.schedule)} steps, got "
                             f"--steps {steps}")

    def sample(self, start: Tensor, labels: Tensor, steps: int, guidance: float | None,
               watch: Callable[[int, int, Tensor], None] | None = None) -> Tensor:
        """Latents float32 on the CPU, from unit noise `start`; `watch` as of run_ddim."""
        self.check_steps(steps)
        noise = guided(self.predict, self.null_class, self.guidance(guidance))
        return run_ddim(noise, start.to(self.device), labels.to(self.device), steps, watch,
                        self.noise_schedule).cpu()


def load_subject(path: Path, device: str = "cpu") -> Subject:
    """The network of `path`, a checkpoint or a folder of diffusers; integer networks stay on the
    CPU.

    Raises
    ------
    FileNotFoundError, ValueError: no file, a damaged, altered or foreign one.
    """
    if Path(path).is_dir():
        return _folder(Path(path), device)
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
                   (preset.latent_channels, size, size), model.null_class, True, None, device,
                   {"preset": preset.name})


def _folder(path: Path, device: str) -> Subject:
    """The float network of a folder. All embeddings of its own are classes."""
    teacher = folder_teacher(path)
    model = teacher.unet.to(device)

    def predict(latents: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        return unet_noise(model, latents, timestep, teacher.context(labels, device))

    return Subject(path.resolve().name, "unet", fingerprint(model), predict, teacher.shape,
                   teacher.classes, teacher.null_class, None, device, {"folder": str(path)},
                   noise_schedule=teacher.noise_schedule)


def _quantised(path: Path, read: Checkpoint, device: str) -> Subject:
    student, tokens = quantised_of(path, read)
    config, recipe = read.architecture["config"], read.training.get("recipe")
    own = config.get("num_class_embeds") or 0
    model, rows = student.model.to(device), None if tokens is None else tokens.to(device)

    def predict(latents: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        return unet_noise(model, latents, timestep, context_of(rows, own, labels, device))

    size = config["sample_size"]
    height, width = (size, size) if isinstance(size, int) else size
    null, guided = _classes(own if tokens is None else len(tokens), read.training)
    about = {"method": Method(**read.architecture["method"]).label,
             "iterations": read.training.get("iterations"),
             "seed": recipe.get("seed") if isinstance(recipe, dict) else None,
             "seconds": read.training.get("seconds")}
    return Subject(path.stem, read.kind, read.digest[:16], predict,
                   (int(config["in_channels"]), height, width), null, guided,
                   student.timestep.schedule, device, about,
                   noise_schedule=_noise_schedule(path, read.training))


def _classes(rows: int, about: Mapping[str, Any]) -> tuple[int, bool]:
    """(null class, whether it is known) of a network with so many tokens or embeddings."""
    if rows <= 1:
        return 0, False
    known = bool(about.get("null_class", True))
    return rows - known, known


def _noise_schedule(path: Path, about: Mapping[str, Any]) -> NoiseSchedule:
    """What the file says; that of `hqdm train unet` where it says nothing."""
    try:
        return from_plain(NoiseSchedule, about.get("noise_schedule", {}))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ValueError(f"{path}: wanted a noise schedule that is sampled with, got one that is "
                         f"not: {error}") from error


def sampled_like(subject: Subject) -> dict[str, Any]:
    """What a file of the same network in another form has to say about its sampling."""
    return {"noise_schedule": to_plain(subject.noise_schedule), "null_class": subject.guided}


def _integers(path: Path, read: Checkpoint, device: str) -> Subject:
    network, about = network_of(read, path)
    if "schedule" not in about:
        raise ValueError(f"{path}: wanted the timesteps of the network's tables, got none")
    schedule = check_schedule(f"{path}: schedule", about["schedule"])
    if len(schedule) != network.network.timesteps:
        raise ValueError(f"{path}: wanted {network.network.timesteps} timesteps, as the tables "
                         f"have, got {len(schedule)}")
    entry = {t: index for index, t in enumerate(schedule)}

    def predict(latents: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        return network(latents, entry[int(timestep)], labels)

    spec = network.network.tensor(network.network.input)
    null, guided = _classes(network.network.classes, about)
    return Subject(path.stem, read.kind, read.digest[:16], predict,
                   (spec.channels, spec.height, spec.width), null, guided,
                   schedule, "cpu", {k: v for k, v in about.items() if k != "schedule"}, network,
                   _noise_schedule(path, about))

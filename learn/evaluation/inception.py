"""Inception v3 as FID was defined with it: TensorFlow's graph of 2015-12-05 in PyTorch.

Differs from torchvision's in average pools that do not count the padding, a maximum pool in the
last block, 1008 classes, and a bilinear resize whose corners are TensorFlow 1's. Names of the
parameters are those of torch-fidelity's and pytorch-fid's files.
"""

import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, CLASSES, FEATURES = 299, 1008, 2048
Shape = int | tuple[int, int]


class Basic(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Shape, stride: int = 1,
                 padding: Shape = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35: 1x1, 5x5, two 3x3, pool."""

    def __init__(self, inputs: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Basic(inputs, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Basic(inputs, 48, 1), Basic(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Basic(inputs, 64, 1)
        self.branch3x3dbl_2 = Basic(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Basic(96, 96, 3, padding=1)
        self.branch_pool = Basic(inputs, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double,
                          self.branch_pool(_average(x))], 1)


class BlockB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Basic(inputs, 384, 3, 2)
        self.branch3x3dbl_1 = Basic(inputs, 64, 1)
        self.branch3x3dbl_2 = Basic(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Basic(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class BlockC(nn.Module):
    """17 x 17: 7x7 in rows and columns."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.branch1x1 = Basic(768, 192, 1)
        self.branch7x7_1 = Basic(768, c, 1)
        self.branch7x7_2 = Basic(c, c, (1, 7), padding=(0, 3))
        self.branch7x7_3 = Basic(c, 192, (7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = Basic(768, c, 1)
        self.branch7x7dbl_2 = Basic(c, c, (7, 1), padding=(3, 0))
        self.branch7x7dbl_3 = Basic(c, c, (1, 7), padding=(0, 3))
        self.branch7x7dbl_4 = Basic(c, c, (7, 1), padding=(3, 0))
        self.branch7x7dbl_5 = Basic(c, 192, (1, 7), padding=(0, 3))
        self.branch_pool = Basic(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_average(x))], 1)


class BlockD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Basic(768, 192, 1), Basic(192, 320, 3, 2)
        self.branch7x7x3_1 = Basic(768, 192, 1)
        self.branch7x7x3_2 = Basic(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Basic(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Basic(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        long = self.branch7x7x3_2(self.branch7x7x3_1(x))
        long = self.branch7x7x3_4(self.branch7x7x3_3(long))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, 2)], 1)


class BlockE(nn.Module):
    """8 x 8; `largest`: pool by the maximum, as the graph's last block does."""

    def __init__(self, inputs: int, largest: bool) -> None:
        super().__init__()
        self.largest = largest
        self.branch1x1 = Basic(inputs, 320, 1)
        self.branch3x3_1 = Basic(inputs, 384, 1)
        self.branch3x3_2a = Basic(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Basic(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Basic(inputs, 448, 1)
        self.branch3x3dbl_2 = Basic(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Basic(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Basic(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Basic(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, 1) if self.largest else _average(x)
        return torch.cat([
            self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double),
            self.branch_pool(pooled)], 1)


class InceptionV3(nn.Module):
    """uint8 (B, 3, H, W) to features (B, 2048) and scores (B, 1008)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Basic(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Basic(32, 32, 3)
        self.Conv2d_2b_3x3 = Basic(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Basic(64, 80, 1)
        self.Conv2d_4a_3x3 = Basic(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = (
            BlockA(192, 32), BlockA(256, 64), BlockA(288, 64))
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (
            BlockC(128), BlockC(160), BlockC(160), BlockC(192))
        self.Mixed_7a = BlockD()
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, False), BlockE(FEATURES, True)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = (resize(images.float(), SIZE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name, block in self.named_children():
            x = block(x) if name.startswith("Mixed") else x
        features = x.mean((2, 3))
        return features, features @ self.fc.weight.T     # without the bias, as FID's tools do


def resize(x: Tensor, size: int) -> Tensor:
    """Bilinear as TensorFlow 1 does it: output i looks at i * in / out, corners not aligned."""
    for dim in (-1, -2):
        length = x.shape[dim]
        at = torch.arange(size, device=x.device, dtype=torch.float32) * (length / size)
        low = at.long()
        high = (low + 1).clamp(max=length - 1)
        part = (at - low).unsqueeze(-1) if dim == -2 else at - low
        x = torch.lerp(x.index_select(dim, low), x.index_select(dim, high), part)
    return x


def load_inception(path: Path) -> InceptionV3:
    """The network with the weights of `path`; loading them runs no code.

    Raises
    ------
    FileNotFoundError: there is no such file.
    ValueError: a file that holds something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file of Inception weights")
    model = InceptionV3()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict({k: v for k, v in state.items()
                               if not k.startswith(("AuxLogits.", "Conv2d_0"))})
    except (RuntimeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        first = " ".join(str(error).split())[:160]
        raise ValueError(f"{path}: wanted torch-fidelity's Inception weights, got {first}"
                         ) from error
    return model.eval().requires_grad_(False)

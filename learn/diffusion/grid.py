"""Picture grids."""

from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from hqdm.kit.check import check_dtype
from hqdm.kit.files import write_atomically

GAP, GREY = 2, 128


def make_grid(images: Tensor, columns: int, scale: int = 1) -> Tensor:
    """uint8 images (N, 3, H, W) as one uint8 picture (3, rows, columns), row after row.

    Each pixel becomes `scale` x `scale`; grey gaps of 2 pixels lie between the images.
    """
    check_dtype("images", images, torch.uint8)
    count, channels, height, width = images.shape
    large = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    rows = -(-count // columns)
    height, width = height * scale + GAP, width * scale + GAP
    picture = torch.full((channels, rows * height + GAP, columns * width + GAP), GREY,
                         dtype=torch.uint8)
    for i, image in enumerate(large.cpu()):
        y, x = GAP + i // columns * height, GAP + i % columns * width
        picture[:, y:y + height - GAP, x:x + width - GAP] = image
    return picture


def save_grid(path: Path, images: Tensor, columns: int, scale: int = 1) -> None:
    """Write the grid of `images` as a PNG, atomically."""
    picture = make_grid(images, columns, scale).permute(1, 2, 0).contiguous().numpy()
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())

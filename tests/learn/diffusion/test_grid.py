"""Picture grids."""

import torch
from PIL import Image

from hqdm.learn.diffusion.grid import make_grid, save_grid


def test_places_images_row_after_row(tmp_path):
    images = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 4, 4) * 50
    picture = make_grid(images, columns=2, scale=2)
    assert picture.shape == (3, 2 + 2 * 10, 2 + 2 * 10)
    assert [int(picture[0, y, x]) for y, x in [(2, 2), (9, 12), (12, 2), (12, 12), (0, 0)]] == [
        0, 50, 100, 128, 128]
    save_grid(tmp_path / "grid.png", images, 2)
    with Image.open(tmp_path / "grid.png") as image:
        assert image.size == (14, 14) and image.mode == "RGB"

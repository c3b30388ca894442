"""Extractors: shapes, the real network, and what is missing in one line."""

import sys

import pytest
import torch

from hqdm.learn.evaluation.extractors import make_extractor
from hqdm.learn.evaluation.inception import InceptionV3, resize
from hqdm.learn.evaluation.metrics import frechet_distance


@pytest.fixture
def images():
    random = torch.Generator().manual_seed(1)
    return torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8, generator=random)


def test_efficientnet(images):
    extractor = make_extractor("efficientnet-lite0")
    features, scores = extractor(images)
    assert features.shape == (2, 1280) and scores.shape == (2, 1000)
    again, _ = extractor(images[1:])
    torch.testing.assert_close(again, features[1:])
    grey = torch.full_like(images, 127)
    assert extractor(grey)[1].softmax(1).max() < 0.9


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ModuleNotFoundError, match="not installed; run: pip install"):
        make_extractor("efficientnet-lite0")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(ModuleNotFoundError, match="torchmetrics is not installed; run: pip"):
        frechet_distance(torch.zeros(3, 2), torch.zeros(3, 2))


def test_inception(images, tmp_path):
    torch.manual_seed(1)
    model = InceptionV3()
    trunk = sum(p.numel() for n, p in model.named_parameters() if not n.startswith("fc."))
    assert trunk == 21_785_568      # of the published network without its heads
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    features, scores = make_extractor("inception", tmp_path / "weights.pth")(images)
    assert features.shape == (2, 2048) and scores.shape == (2, 1008)


def test_resize_is_tensorflows():
    x = torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(1, 1, 2, 4)
    wide = resize(x, 8)
    assert wide.shape == (1, 1, 8, 8)
    assert wide[0, 0, 3].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]


def test_bad_choices(tmp_path):
    with pytest.raises(ValueError, match="wanted one of efficientnet-lite0, inception, got 'x'"):
        make_extractor("x")
    with pytest.raises(ValueError, match="wanted --inception-weights FILE, got none"):
        make_extractor("inception")
    with pytest.raises(ValueError, match="wanted --extractor inception, got efficientnet-lite0"):
        make_extractor("efficientnet-lite0", tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file of Inception weights"):
        make_extractor("inception", tmp_path / "none.pth")


class Trap:
    """Runs code if it is unpickled without care."""

    def __reduce__(self):
        return print, ("trapped",)


def test_foreign_weights(tmp_path, capsys):
    for name, content in (("code", Trap()), ("list", [1]), ("state", {"x": torch.zeros(1)})):
        torch.save(content, tmp_path / name)
        with pytest.raises(ValueError, match="wanted torch-fidelity's Inception weights"):
            make_extractor("inception", tmp_path / name)
    assert "trapped" not in capsys.readouterr().out

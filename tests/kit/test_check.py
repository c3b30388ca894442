"""What a file's tensors are compared with."""

import pytest
import torch

from hqdm.kit.check import check_tensors

TABLE = {"a": (torch.int64, (2,)), "b": (torch.float32, (None, 3))}
TENSORS = {"a": torch.tensor([1, 2]), "b": torch.zeros(5, 3)}


def test_those_of_the_table_pass():
    check_tensors("x", TENSORS, TABLE)


@pytest.mark.parametrize(("change", "text"), [
    ({"c": torch.zeros(1)}, r"x: wanted tensors a, b, got 'a', 'b', 'c'"),
    ({"a": torch.tensor([1.0, 2.0])}, r"x: a: wanted torch.int64 of shape \(2,\), got torch.float"),
    ({"a": torch.tensor(1)}, r"x: a: wanted torch.int64 of shape \(2,\), got torch.int64 of .* \("),
    ({"b": torch.zeros(3)}, r"x: b: wanted torch.float32 of shape \(None, 3\), got"),
    ({"b": torch.zeros(3, 4)}, r"x: b: wanted torch.float32 of shape \(None, 3\), got"),
    ({"b": torch.zeros(5, 3, 1)}, r"x: b: wanted torch.float32 of shape \(None, 3\), got"),
    ({"b": torch.full((1, 3), float("nan"))}, "x: b: wanted finite numbers, got NaN"),
])
def test_others_do_not(change, text):
    with pytest.raises(ValueError, match=text):
        check_tensors("x", TENSORS | change, TABLE)


def test_none_at_all():
    with pytest.raises(ValueError, match="x: wanted tensors a, b, got none"):
        check_tensors("x", {}, TABLE)

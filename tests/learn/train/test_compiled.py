"""Compiling is refused where it changes the gradients."""

import pytest
import torch
from torch import nn

from hqdm.learn.train.compiled import compile_checked


class Model(nn.Linear):
    """A linear layer; the compiled form of a wrong one turns its gradient round."""

    def __init__(self, wrong):
        super().__init__(4, 4)
        self.wrong, self.compiled = wrong, False

    def compile(self):
        self.compiled = True

    def forward(self, x):
        output = super().forward(x)
        return 2 * output.detach() - output if self.wrong and self.compiled else output


class Task:
    def __init__(self, wrong):
        torch.manual_seed(0)
        self.model = Model(wrong)
        self.x = torch.randn(8, 4)

    def losses(self, step):
        return {"loss": self.model(self.x).square().mean()}


def test_right_gradients_are_believed_and_weights_stay():
    task = Task(wrong=False)
    before = task.model.weight.clone()
    compile_checked(task)
    assert task.model.compiled and torch.equal(task.model.weight, before)
    assert task.model.weight.grad is None


def test_wrong_gradients_are_refused():
    task = Task(wrong=True)
    before = task.model.weight.clone()
    with pytest.raises(RuntimeError, match=r"compiled gradient of weight has cosine -1\.000 to "
                       r"the uncompiled one, wanted 0\.95; train without --compile"):
        compile_checked(task)
    assert torch.equal(task.model.weight, before)

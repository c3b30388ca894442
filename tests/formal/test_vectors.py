"""The two readers of a system, NumPy and Bitwuzla, agree on every operation."""

import random

import numpy as np
import pytest

from formal.btor import Node, System
from formal.frames import BINARY, COMPARE, UNARY, Frames
from formal.vectors import Evaluator

WIDTH = 5
OPERATIONS = [
    *(Node(name, 2 * WIDTH if name == "concat" else 1 if name == "eq" else WIDTH, (1, 2))
      for name in BINARY),
    *(Node(name, 1, (1, 2)) for name in (*COMPARE, "neq")),
    *(Node(name, 1 if name.startswith("red") else WIDTH, (1,)) for name in UNARY),
    Node("ite", WIDTH, (3, 1, -2)), Node("slice", 2, (1,), (3, 2)),
    Node("uext", 8, (1,), (3,)), Node("sext", 8, (-1,), (3,)),
]


@pytest.mark.parametrize("node", OPERATIONS, ids=lambda node: node.name)
def test_every_operation(node):
    values = [(random.Random(seed).randrange(32), random.Random(-seed).randrange(32), seed & 1)
              for seed in range(1, 9)] + [(0, 0, 0), (31, 31, 1), (16, 15, 0)]
    nodes = {1: Node("input", WIDTH), 2: Node("input", WIDTH), 3: Node("input", 1), 4: node}
    arrays = {key: np.array(column, np.uint64)
              for key, column in enumerate(zip(*values, strict=True), 1)}
    found = Evaluator(System(nodes=nodes)).run(arrays)[4].tolist()
    for value, result in zip(values, found, strict=True):
        constants = {key: Node("const", nodes[key].width, (), (v,))
                     for key, v in enumerate(value, 1)}
        expected = Node("const", node.width, (), (result,))
        frames = Frames(System(nodes=constants | {4: node, 5: expected, 6: Node("eq", 1, (4, 5))}))
        frames.extend()
        assert frames.possible(frames.holds(6, 0)), (value, result)

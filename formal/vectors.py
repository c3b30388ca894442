"""A transition system evaluated with NumPy, many states at a time."""

from typing import Any

import numpy as np

from formal.btor import Node, System

Array = Any            # np.ndarray, or a scalar of it
ONE = np.uint64(1)


def mask(width: int) -> np.uint64:
    return np.uint64((1 << min(width, 64)) - 1)


def _signed(x: Array, width: int) -> Array:
    shift = np.uint64(64 - width)
    return (x << shift).view(np.int64) >> np.int64(64 - width)


def _parity(x: Array) -> Array:
    for shift in (32, 16, 8, 4, 2, 1):
        x = x ^ (x >> np.uint64(shift))
    return x & ONE


BINARY: dict[str, Any] = {
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "nand": lambda a, b: ~(a & b), "nor": lambda a, b: ~(a | b), "xnor": lambda a, b: ~(a ^ b),
    "add": np.add, "sub": np.subtract, "mul": np.multiply,
}
UNSIGNED = {"eq": np.equal, "neq": np.not_equal, "ult": np.less, "ulte": np.less_equal,
            "ugt": np.greater, "ugte": np.greater_equal}
SIGNED = {"slt": np.less, "slte": np.less_equal, "sgt": np.greater, "sgte": np.greater_equal}


# of a value wider than 64 bits only the lower 64 are kept: these operations need no others
LOW_BITS = {"and", "or", "xor", "not", "neg", "add", "sub", "concat", "ite", "slice", "uext"}


class Evaluator:
    """All nodes of `system` for arrays of states and inputs, 64 bits at most."""

    def __init__(self, system: System):
        for node in system.nodes.values():
            widths = [system.nodes[abs(operand)].width for operand in node.operands]
            beyond = node.name == "slice" and node.indices[0] > 63
            if max(widths, default=0) > 64 and (node.name not in LOW_BITS or beyond):
                raise ValueError(f"vectors: wanted values of at most 64 bits, got {node}")
        self._system = system

    def run(self, given: dict[int, Array]) -> dict[int, Array]:
        """Values of all nodes, from those of the inputs and states."""
        values: dict[int, Array] = dict(given)
        for key, node in self._system.nodes.items():
            if key not in values:
                values[key] = self._node(node, values)
        return values

    def value(self, values: dict[int, Array], node: int) -> Array:
        """Value of `node`, or of its complement if it is negative."""
        found = values[abs(node)]
        return found if node > 0 else ~found & mask(self._system.nodes[-node].width)

    def _node(self, node: Node, values: dict[int, Array]) -> Array:
        if node.name == "const":
            return np.uint64(node.indices[0])
        terms = [self.value(values, operand) for operand in node.operands]
        return self._operation(node, terms) & mask(node.width)

    def _operation(self, node: Node, terms: list[Array]) -> Array:
        name, width = node.name, self._system.nodes[abs(node.operands[0])].width
        if name in BINARY:
            return BINARY[name](*terms)
        if name in UNSIGNED:
            return UNSIGNED[name](*terms).astype(np.uint64)
        if name in SIGNED:
            return SIGNED[name](*(_signed(t, width) for t in terms)).astype(np.uint64)
        match name:
            case "ite":
                return np.where(terms[0] != 0, terms[1], terms[2])
            case "not":
                return ~terms[0]
            case "neg":
                return np.uint64(0) - terms[0]
            case "slice":
                return terms[0] >> np.uint64(node.indices[1])
            case "uext":
                return terms[0]
            case "sext":
                return _signed(terms[0], width).view(np.uint64)
            case "concat":
                low = self._system.nodes[abs(node.operands[1])].width
                return (terms[0] << np.uint64(low)) | terms[1] if low < 64 else terms[1]
            case "redor":
                return (terms[0] != 0).astype(np.uint64)
            case "redand":
                return (terms[0] == mask(width)).astype(np.uint64)
            case "redxor":
                return _parity(terms[0])
        return self._shift(name, terms, width)

    def _shift(self, name: str, terms: list[Array], width: int) -> Array:
        value, amount = terms
        far, amount = amount >= np.uint64(width), np.minimum(amount, np.uint64(63))
        match name:
            case "sll":
                return np.where(far, np.uint64(0), value << amount)
            case "srl":
                return np.where(far, np.uint64(0), value >> amount)
            case "sra":
                return (_signed(value, width) >> amount.astype(np.int64)).view(np.uint64)
        raise ValueError(f"btor: wanted a known operation, got {name!r}")

"""Frames of a transition system as Bitwuzla terms."""

from bitwuzla import Bitwuzla, Kind, Option, Options, Result, Term, TermManager

from formal.btor import Node, System

BINARY = {
    "and": Kind.BV_AND, "or": Kind.BV_OR, "xor": Kind.BV_XOR, "nand": Kind.BV_NAND,
    "nor": Kind.BV_NOR, "xnor": Kind.BV_XNOR, "add": Kind.BV_ADD, "sub": Kind.BV_SUB,
    "mul": Kind.BV_MUL, "sll": Kind.BV_SHL, "srl": Kind.BV_SHR, "sra": Kind.BV_ASHR,
    "concat": Kind.BV_CONCAT, "eq": Kind.BV_COMP,
}
COMPARE = {
    "ult": Kind.BV_ULT, "ulte": Kind.BV_ULE, "ugt": Kind.BV_UGT, "ugte": Kind.BV_UGE,
    "slt": Kind.BV_SLT, "slte": Kind.BV_SLE, "sgt": Kind.BV_SGT, "sgte": Kind.BV_SGE,
}
UNARY = {"not": Kind.BV_NOT, "neg": Kind.BV_NEG, "redor": Kind.BV_REDOR,
         "redand": Kind.BV_REDAND, "redxor": Kind.BV_REDXOR}


class Frames:
    """The frames 0, 1, ... of `system`, frame 0 the one after reset, and one solver over them."""

    def __init__(self, system: System):
        self._system = system
        self._tm = TermManager()
        options = Options()
        options.set(Option.PRODUCE_MODELS, True)
        self._solver = Bitwuzla(self._tm, options)
        self._frames: list[dict[int, Term]] = []
        self._sorts: dict[int, object] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def extend(self) -> None:
        """Add a frame, with its assumptions."""
        frame: dict[int, Term] = {}
        number = len(self._frames)
        for key, node in self._system.nodes.items():
            frame[key] = self._term(key, node, frame, number)
        self._frames.append(frame)
        for condition in self._system.assumes.values():
            self.require(self.holds(condition, number))

    def holds(self, node: int, frame: int) -> Term:
        """The one-bit `node` is 1 in `frame`."""
        return self._true(self._get(self._frames[frame], node))

    def require(self, condition: Term) -> None:
        self._solver.assert_formula(condition)

    def never(self, condition: Term) -> Term:
        return self._tm.mk_term(Kind.NOT, [condition])

    def either(self, first: Term, second: Term) -> Term:
        return self._tm.mk_term(Kind.OR, [first, second])

    def possible(self, condition: Term) -> bool:
        """Whether `condition` can hold together with everything required."""
        return self._solver.check_sat(condition) is Result.SAT

    def values(self) -> list[dict[str, int]]:
        """Inputs and states of every frame, after `possible` said yes."""
        return [{name: int(self._solver.get_value(frame[key]).value(10))
                 for key, name in self._system.names.items()} for frame in self._frames]

    def _sort(self, width: int):
        if width not in self._sorts:
            self._sorts[width] = self._tm.mk_bv_sort(width)
        return self._sorts[width]

    def _value(self, width: int, value: int) -> Term:
        return self._tm.mk_bv_value(self._sort(width), value)

    def _true(self, bit: Term) -> Term:
        return self._tm.mk_term(Kind.EQUAL, [bit, self._value(1, 1)])

    def _get(self, frame: dict[int, Term], node: int) -> Term:
        term = frame[abs(node)]
        return term if node > 0 else self._tm.mk_term(Kind.BV_NOT, [term])

    def _term(self, key: int, node: Node, frame: dict[int, Term], number: int) -> Term:
        """The value of `node`, whose operands are in `frame`."""
        if node.name == "const":
            return self._value(node.width, node.indices[0])
        if key in self._system.next and number > 0:
            return self._get(self._frames[-1], self._system.next[key])
        if key in self._system.init and number == 0:
            return self._get(frame, self._system.init[key])
        if node.name in ("input", "state"):
            return self._tm.mk_const(self._sort(node.width), f"{self._system.names[key]}@{number}")
        return self._operation(node, [self._get(frame, operand) for operand in node.operands])

    def _operation(self, node: Node, terms: list[Term]) -> Term:
        make, name = self._tm.mk_term, node.name
        if name in BINARY:
            return make(BINARY[name], terms)
        if name in UNARY:
            return make(UNARY[name], terms)
        if name == "ite":
            return make(Kind.ITE, [self._true(terms[0]), *terms[1:]])
        if name == "slice":
            return make(Kind.BV_EXTRACT, terms, list(node.indices))
        if name in ("uext", "sext"):
            kind = Kind.BV_ZERO_EXTEND if name == "uext" else Kind.BV_SIGN_EXTEND
            return make(kind, terms, list(node.indices)) if node.indices[0] else terms[0]
        if name == "neq":
            return make(Kind.BV_NOT, [make(Kind.BV_COMP, terms)])
        if name in COMPARE:
            one, zero = self._value(1, 1), self._value(1, 0)
            return make(Kind.ITE, [make(COMPARE[name], terms), one, zero])
        raise ValueError(f"btor: wanted a known operation, got {name!r}")

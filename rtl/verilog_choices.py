"""Combinational processes of Yosys' Verilog as continuous assignments.

A process `always @*` runs when something that it reads changes. Yosys lets it read a variable
that is given a value at time 0; before SystemVerilog that was a change, since then it is none, and
a process whose inputs keep their first values never runs. A continuous assignment is evaluated
in every edition of the standard.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_PROCESS = re.compile(
    r"^  always @\* begin\n    if \(\\\S+ \) begin end\n(?P<body>.*?)^  end\n"
    r"|^  always @\*\n(?P<single>    \S[^;\n]*;\n)", re.M | re.S)
_DECLARED = re.compile(
    r"^  (?:input|output|wire|reg) (?:wire |reg )?(?:\[(\d+):0\] )?(\\\S+ |\w+) ?[;=]", re.M)
_NAME = re.compile(r"(\\\S+|[A-Za-z_]\w*) ?(?:\[(\d+)(?::(\d+))?\])?")
_CONSTANT = re.compile(r"(\d+)'([bhd])([0-9a-f?]+)")
_ASSIGNMENT = re.compile(r"(.*?) = (.*);")

Part = tuple[int, int]      # highest and lowest bit


@dataclass(frozen=True)
class _Assign:
    """`name[part] = value`."""

    name: str
    part: Part
    value: str


@dataclass(frozen=True)
class _Choose:
    """The statements of the first condition that holds; exclusive: at most one does."""

    branches: Sequence[tuple[str, Sequence["_Statement"]]]
    exclusive: bool


_Statement = _Assign | _Choose


class _Widths:
    """Widths of the names that a module declares, and parts of its expressions."""

    def __init__(self, module: str) -> None:
        self._of = {name.strip(): int(high or 0) + 1 for high, name in _DECLARED.findall(module)}

    def bits(self, expression: str) -> tuple[str, Part]:
        """Name and bits of an expression that is a name, an element or a slice."""
        found = _NAME.fullmatch(expression)
        assert found, f"wanted a name, got {expression!r}"
        name, high, low = found.groups()
        if high is None:
            return name, (self._of[name] - 1, 0)
        return name, (int(high), int(low if low is not None else high))

    def width(self, expression: str) -> int:
        if constant := _CONSTANT.fullmatch(expression):
            return int(constant[1])
        if expression.startswith("{"):
            return sum(self.width(item) for item in _items(expression))
        high, low = self.bits(expression)[1]
        return high + 1 - low

    def part(self, expression: str, part: Part) -> str:
        """Bits `part` of `expression`."""
        high, low = part
        width = self.width(expression)
        if (high, low) == (width - 1, 0):
            return _ended(expression)
        if constant := _CONSTANT.fullmatch(expression):
            value = int(constant[3], {"b": 2, "h": 16, "d": 10}[constant[2]])
            return f"{high + 1 - low}'h{value >> low & (1 << high + 1 - low) - 1:x}"
        if expression.startswith("{"):
            return self._part_of_items(_items(expression), high, low)
        name, (_, first) = self.bits(expression)
        high, low = high + first, low + first
        return _ended(name) + (f"[{high}]" if high == low else f"[{high}:{low}]")

    def _part_of_items(self, items: list[str], high: int, low: int) -> str:
        """Bits high..low of a concatenation: a concatenation of what it takes of each item."""
        parts, end = [], sum(map(self.width, items))
        for item in items:
            begin = end - self.width(item)
            if begin <= high and low < end:
                parts.append(self.part(item, (min(high, end - 1) - begin, max(low, begin) - begin)))
            end = begin
        return parts[0] if len(parts) == 1 else f"{{ {', '.join(parts)} }}"


def _ended(expression: str) -> str:
    """`expression` with the space that ends an escaped name."""
    return f"{expression} " if re.fullmatch(r"\\\S+", expression) else expression


def _items(concatenation: str) -> list[str]:
    """What `concatenation` joins, the highest bits first."""
    return re.split(r",\s*", concatenation.strip()[1:-1].strip())


def _assigns(line: str, widths: _Widths) -> list[_Assign]:
    """An assignment, or one for each item that the left side joins."""
    found = _ASSIGNMENT.fullmatch(line)
    assert found, f"wanted an assignment, got {line!r}"
    left, right = found.groups()
    if not left.startswith("{"):
        return [_Assign(*widths.bits(left), right)]
    targets, end, assigns = _items(left), widths.width(left.rstrip()), []
    for target in targets:
        begin = end - widths.width(target)
        assigns.append(_Assign(*widths.bits(target), widths.part(right, (end - 1, begin))))
        end = begin
    return assigns


class _Parser:
    """Statements of a process, line by line as Yosys writes them."""

    def __init__(self, body: str, widths: _Widths) -> None:
        lines = (line.strip() for line in body.splitlines())
        self._lines = [line for line in lines if line and not line.startswith("(*")]
        self._widths = widths
        self._at = 0

    def _next(self) -> str:
        self._at += 1
        return self._lines[self._at - 1]

    def block(self) -> list[_Statement]:
        """Statements up to the end of a block, or of the process."""
        statements: list[_Statement] = []
        while self._at < len(self._lines) and not self._lines[self._at].startswith("end"):
            statements += self._statement()
        return statements

    def _statement(self) -> list[_Statement]:
        line = self._next()
        if line == "/* empty */;":
            return []
        if line == "begin":
            inside = self.block()
            self._next()
            return inside
        if line.startswith("if ("):
            return [self._if(line)]
        if line.startswith("casez ("):
            return [self._case(line[len("casez ("):-1])]
        return list(_assigns(line, self._widths))

    def _if(self, line: str) -> _Choose:
        branches = []
        while line != "end":
            condition = re.fullmatch(r"(?:end else )?if \((.*)\) begin", line)
            branches.append((condition[1] if condition else "1'h1", self.block()))
            line = self._next()
        return _Choose(branches, exclusive=False)

    def _case(self, selector: str) -> _Choose:
        branches = []
        while (line := self._next()) != "endcase":
            labels = line.removesuffix(":").split(", ")
            tests = [_test(selector, label) for label in labels]
            test = f"({' || '.join(tests)})" if len(tests) > 1 else tests[0]
            branches.append((test, self._statement()))
        plain = not any("?" in test or test == "1'h1" for test, _ in branches)
        return _Choose(branches, exclusive=plain)


def _test(selector: str, label: str) -> str:
    """Whether `selector` is `label`, in which `?` stands for any bit."""
    if label == "default":
        return "1'h1"
    if "?" not in label:
        return f"{selector} == {label}"
    width, digits = label.split("'b")
    mask = "".join("0" if digit == "?" else "1" for digit in digits)
    return f"({selector} & {width}'b{mask}) == {width}'b{digits.replace('?', '0')}"


def _names(statements: Sequence[_Statement]) -> Iterator[_Assign]:
    """Every assignment of `statements`."""
    for statement in statements:
        if isinstance(statement, _Assign):
            yield statement
        else:
            for _, inside in statement.branches:
                yield from _names(inside)


def _choice(condition: str, yes: str, no: str) -> str:
    """`condition ? yes : no`, as short as it can be; `no` is empty after all that there is."""
    if condition == "1'h1" or yes == no or not no:
        return yes
    if (yes, no) == ("1'h1", "1'h0"):
        return condition
    if yes == "1'h1":
        return f"({condition} || {no})"
    if no == "1'h0":
        return f"({condition} && {yes})"
    return f"({condition} ? {yes} : {no})"


def _value(statements: Sequence[_Statement], part: Part, value: str, widths: _Widths) -> str:
    """What `part` of the target is after `statements`, if it was `value` before."""
    for statement in statements:
        if isinstance(statement, _Assign):
            high, low = statement.part
            if low <= part[1] and part[0] <= high:
                value = widths.part(statement.value, (part[0] - low, part[1] - low))
            continue
        result, branches = value, list(statement.branches)
        for condition, inside in reversed(branches):
            chosen = _value(inside, part, value, widths)
            if statement.exclusive and chosen == value:
                continue        # no other branch holds where this one does
            result = _choice(condition, chosen, result)
        value = result
    return value


def _continuous(process: re.Match[str], widths: _Widths) -> tuple[str, str]:
    """The name that `process` assigns, and the continuous assignments in its place."""
    statements = _Parser(process["body"] or process["single"], widths).block()
    assigns = list(_names(statements))
    names = {assign.name for assign in assigns}
    assert len(names) == 1, f"wanted a process with one target, got {sorted(names)}"
    name = names.pop()
    edges = sorted({edge for a in assigns for edge in (a.part[0] + 1, a.part[1])})
    text = ""
    for low, end in pairwise(edges):
        part = end - 1, low
        if any(a.part[1] <= low and part[0] <= a.part[0] for a in assigns):
            target = widths.part(name, part)
            text += f"  assign {target} = {_value(statements, part, '', widths)};\n"
    return name, text


def continuous(module: str) -> str:
    """`module` with a continuous assignment for each combinational process.

    Yosys' processes assign to one variable each, and begin with a value for all bits that they
    assign to.
    """
    if "always @*" not in module:
        return module
    widths = _Widths(module)
    changed: set[str] = set()

    def replace(process: re.Match[str]) -> str:
        name, text = _continuous(process, widths)
        changed.add(name)
        return text

    module = _PROCESS.sub(replace, module)
    module = re.sub(r"^  reg (\\\S+) = 0;\n(?!.*\1 )", "", module, flags=re.M | re.S)
    return re.sub(r"^  reg ((?:\[\d+:0\] )?)(\\\S+|\w+)( ?;)",
                  lambda found: (f"  wire {found[1]}{found[2]}{found[3]}"
                                 if found[2] in changed else found[0]), module, flags=re.M)

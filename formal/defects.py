"""Defects put into a unit on purpose: a check that does not see them is worth nothing."""

from collections.abc import Iterator
from dataclasses import replace

from formal.btor import Node, System

UNIT = "dut"
FAULT = "fault"     # a free input: the register misses an update


def defects(system: System) -> Iterator[tuple[str, System]]:
    """(what is wrong, broken system), two for every register of the units under test."""
    registers = sorted(
        (state for state in system.init
         if system.names[state].startswith(UNIT) and state in system.next),
        key=lambda state: (system.nodes[state].width, system.names[state]))
    for register in registers:
        yield f"{system.names[register]} sticks", _sticks(system, register)
    for register in registers:
        yield f"{system.names[register]} misses an update", _misses(system, register)


def _sticks(system: System, register: int) -> System:
    """`register` never changes."""
    return replace(system, next=system.next | {register: register})


def _misses(system: System, register: int) -> System:
    """`register` may keep its value when it should not, any number of times."""
    fault, following = max(system.nodes) + 1, max(system.nodes) + 2
    width = system.nodes[register].width
    nodes = system.nodes | {
        fault: Node("input", 1),
        following: Node("ite", width, (fault, register, system.next[register])),
    }
    return replace(system, nodes=nodes, names=system.names | {fault: FAULT},
                   next=system.next | {register: following})

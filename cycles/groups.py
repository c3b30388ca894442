"""Layers of a step added up, in one place for the table and the plots."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hqdm.cycles.step import BOUNDS, Run, Runs

SHORT = (("down_blocks.", "down "), ("up_blocks.", "up "), ("mid_block", "mid"),
         (".transformer_blocks.", " block "), (".attentions.", " att "), (".resnets.", " res "),
         (".downsamplers.0", " down"), (".upsamplers.0", " up"))


@dataclass(frozen=True, kw_only=True)
class Group(Runs):
    """Layers added up.

    Members
    -------
    kind: what they are.
    """

    kind: str

    @property
    def bound(self) -> str:
        """The resource that limits most of the cycles."""
        shares = {name: sum(r.cycles for r in self.runs if r.bound == name) for name in BOUNDS}
        return max(BOUNDS, key=lambda name: shares[name])


def groups(runs: Iterable[Run]) -> tuple[Group, ...]:
    """The kinds of `runs`, most cycles first."""
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(run.kind, []).append(run)
    found = [Group(kind=kind, runs=tuple(members)) for kind, members in kinds.items()]
    return tuple(sorted(found, key=lambda g: -g.cycles))


def worst(runs: Iterable[Run], count: int) -> tuple[Group, ...]:
    """The layers that lose the most cycles; those of the same sizes are one group, named after
    the first."""
    alike: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        alike.setdefault((replace(run.layer, name=""), run.runs), []).append(run)
    found = [Group(kind=short(same[0].name), runs=tuple(same)) for same in alike.values()]
    return tuple(sorted(found, key=lambda g: -g.stalls.total)[:count])


def short(name: str) -> str:
    """A layer's name where there is little room."""
    for long, brief in SHORT:
        name = name.replace(long, brief)
    return name

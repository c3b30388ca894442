"""Exhaustive reachability: every input in every reachable state, so a proof without a bound."""

from dataclasses import dataclass

import numpy as np

from formal.btor import System
from formal.defects import FAULT
from formal.engine import Verdict
from formal.harness import FIXED
from formal.states import Packing, StateSet, different
from formal.vectors import Array, Evaluator, mask

ROWS = 1 << 14      # evaluated at a time: they stay in the cache
CHOICE_BITS = 18    # of free inputs, and of fixed ones, at most


@dataclass
class _Level:
    """States first reached after so many cycles, and the state and input each one came from."""

    states: Array
    parents: Array
    inputs: Array

    def __getitem__(self, keep: Array) -> "_Level":
        return _Level(self.states[:, keep], self.parents[keep], self.inputs[keep])


class Reach:
    """Breadth-first search over the states of `system`.

    A state without an initial value starts as 0, a fixed input as any of its values.
    """

    def __init__(self, system: System):
        self._system, self._evaluator = system, Evaluator(system)
        self._packing = Packing({key: system.nodes[key].width for key in system.next})
        self._inputs = [key for key in system.names if key not in system.next]
        self._choices = self._product(self._inputs)
        self._levels: list[_Level] = []

    def run(self, limit: int = 1_000_000, within: int = 200) -> Verdict:
        """Search to the end; RuntimeError after `limit` states.

        Then each goal has to be reached from every state within so many cycles in which the free
        inputs are 1.
        """
        states = self._initial()
        seen, none = StateSet(states), np.zeros(states.shape[1], np.int64)
        self._levels = [_Level(states, none, none)]
        while self._levels[-1].states.shape[1]:
            failed, level = self._step(self._levels[-1].states)
            if failed:
                return Verdict(False, len(self._levels) - 1, failed=failed[0],
                               trace=self._trace(*failed[1:]), states=len(seen))
            self._levels.append(level[seen.add(level.states)])
            if len(seen) > limit:
                raise RuntimeError(f"reach: wanted at most {limit} states, found more in "
                                   f"{len(self._levels)} cycles")
        missed = self._missed(within)
        if missed:
            return Verdict(False, within, failed=missed[0], trace=missed[1:], states=len(seen))
        return Verdict(True, len(self._levels) - 1, proved=True, states=len(seen))

    def _product(self, keys: list[int]) -> Array:
        """Every combination of the values of the nodes `keys`, one column each."""
        widths = [self._system.nodes[key].width for key in keys]
        if sum(widths) > CHOICE_BITS:
            raise ValueError(f"reach: wanted at most {CHOICE_BITS} bits to choose, "
                             f"got {sum(widths)}")
        count = np.arange(1 << sum(widths), dtype=np.uint64)
        rows = []
        for width in widths:
            rows.append(count & mask(width))
            count = count >> np.uint64(width)
        return np.array(rows, np.uint64).reshape(len(keys), 1 << sum(widths))

    def _initial(self) -> Array:
        system, zero = self._system, np.zeros(1, np.uint64)
        fixed = [key for key in system.next if system.names[key].startswith(FIXED)]
        choices = self._product(fixed)
        fields = dict.fromkeys(system.next, zero)
        values = self._evaluator.run(fields | dict.fromkeys(self._inputs, zero))
        fields |= {key: self._evaluator.value(values, node) for key, node in system.init.items()}
        fields |= dict(zip(fixed, choices, strict=True))
        return self._packing.pack(fields, choices.shape[1])

    def _step(self, states: Array):
        """(assertion, state, input) that fails or None; the states one cycle on."""
        inputs = self._choices.shape[1]
        batch, levels = max(1, ROWS // inputs), []
        for start in range(0, states.shape[1], batch):
            count = min(batch, states.shape[1] - start)
            parents = np.repeat(np.arange(start, start + count), inputs)
            failed, level = self._evaluate(
                states[:, parents], np.tile(np.arange(inputs), count), parents)
            if failed:
                return failed, None
            levels.append(level)
        level = _Level(*(np.concatenate([getattr(v, name) for v in levels], -1)
                         for name in ("states", "parents", "inputs")))
        return None, level[different(level.states)]

    def _evaluate(self, states: Array, chosen: Array, parents: Array):
        system, evaluator = self._system, self._evaluator
        inputs = dict(zip(self._inputs, self._choices[:, chosen], strict=True))
        values, following = self._advance(states, inputs)
        allowed = np.ones(len(chosen), bool)
        for node in system.assumes.values():
            allowed &= evaluator.value(values, node) != 0
        for name, node in system.asserts.items():
            wrong = np.flatnonzero(allowed & (evaluator.value(values, node) == 0))
            if wrong.size:
                return (name, parents[wrong[0]], chosen[wrong[0]]), None
        level = _Level(following[:, allowed], parents[allowed], chosen[allowed])
        return None, level[different(level.states)]

    def _missed(self, within: int) -> tuple:
        """A goal that is not reached from every state, and such a state; else nothing."""
        names, nodes = self._system.names, self._system.nodes
        ones = {key: mask(nodes[key].width if names[key] != FAULT else 0)
                for key in self._inputs}
        for name, node in self._system.goals.items():
            states = np.concatenate([level.states for level in self._levels], 1)
            for _ in range(within):
                values, following = self._advance(states, ones)
                goal = np.broadcast_to(self._evaluator.value(values, node), states.shape[1])
                states = following[:, goal == 0]
                states = states[:, different(states)]
                if not states.shape[1]:
                    break
            else:
                return name, self._readable(states[:, :1], {})
        return ()

    def _advance(self, states: Array, inputs: dict[int, Array]) -> tuple[dict[int, Array], Array]:
        """All values in `states` with `inputs`, and the next states."""
        values = self._evaluator.run(self._packing.unpack(states) | inputs)
        fields = {key: self._evaluator.value(values, node)
                  for key, node in self._system.next.items()}
        return values, self._packing.pack(fields, states.shape[1])

    def _readable(self, state: Array, inputs: dict[int, Array]) -> dict[str, int]:
        fields = self._packing.unpack(state) | inputs
        return {self._system.names[key]: int(value.item()) for key, value in fields.items()}

    def _trace(self, state: int, chosen: int) -> tuple[dict[str, int], ...]:
        """Inputs and states of every cycle up to the failure."""
        frames = []
        for level in reversed(self._levels):
            inputs = dict(zip(self._inputs, self._choices[:, chosen], strict=True))
            frames.append(self._readable(level.states[:, state:state + 1], inputs))
            state, chosen = level.parents[state], level.inputs[state]
        return tuple(reversed(frames))

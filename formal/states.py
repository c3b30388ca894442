"""States of a transition system, packed into few words; sets of them."""

import numpy as np

from formal.vectors import Array, mask


class Packing:
    """Fields of the given widths (none above 64 bits) in words of 64, a state a column."""

    def __init__(self, widths: dict[int, int]):
        self._places: dict[int, tuple[int, int, int]] = {}
        word = used = 0
        for key, width in widths.items():
            if used + width > 64:
                word, used = word + 1, 0
            self._places[key] = word, used, width
            used += width
        self._words = word + 1

    def pack(self, fields: dict[int, Array], count: int) -> Array:
        words = np.zeros((self._words, count), np.uint64)
        for key, (word, place, _) in self._places.items():
            words[word] |= fields[key] << np.uint64(place)
        return words

    def unpack(self, states: Array) -> dict[int, Array]:
        return {key: (states[word] >> np.uint64(place)) & mask(width)
                for key, (word, place, width) in self._places.items()}


class StateSet:
    """A set of states, found by a hash; RuntimeError if two states have the same one."""

    def __init__(self, states: Array):
        self._hashes = np.zeros(0, np.uint64)
        self._states = states[:, :0]
        self.add(states)

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, states: Array) -> Array:
        """Indices of the states that were not in the set, each once; now they are."""
        hashes, keep = _different(states)
        place: Array = np.searchsorted(self._hashes, hashes)
        known = np.zeros(len(hashes), bool)
        inside = place < len(self._hashes)
        known[inside] = self._hashes[place[inside]] == hashes[inside]
        _check_same(states[:, keep[known]], self._states[:, place[known]])
        keep, place = keep[~known], place[~known]
        self._hashes = np.insert(self._hashes, place, hashes[~known])
        self._states = np.insert(self._states, place, states[:, keep], 1)
        return keep


def different(states: Array) -> Array:
    """Indices of one state of each kind."""
    return _different(states)[1]


def _different(states: Array) -> tuple[Array, Array]:
    """Hashes, in order, and an index for each."""
    hashes, keep, inverse = np.unique(_hash(states), return_index=True, return_inverse=True)
    _check_same(states, states[:, keep][:, inverse])
    return hashes, keep


def _hash(states: Array) -> Array:
    """A number of 64 bits for each state."""
    result = np.zeros(states.shape[1], np.uint64)
    for row in states:
        result = (result ^ row) * np.uint64(0x9E3779B97F4A7C15)
        result ^= result >> np.uint64(29)
    return result


def _check_same(first: Array, second: Array) -> None:
    if not np.array_equal(first, second):
        raise RuntimeError("states: wanted different hashes of different states")

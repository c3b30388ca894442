"""Random streams for the load pipeline and what golden makes of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hqdm.golden.load import quantise, rotate
from hqdm.rtl.load.hadamard import exchanged
from hqdm.spec.fixed import MAX_ORDER, nibbles, split_nibbles, symmetric_max

CHANNEL, WIDTH = 0, 1
AXES_AND_ORDERS = [(axis, order) for axis in (CHANNEL, WIDTH) for order in range(MAX_ORDER + 1)]
Row = list[int]


@dataclass(frozen=True)
class Stream:
    """Beats (nibble, lanes) that enter a pipeline stage with these static inputs; what leaves."""

    settings: dict[str, int]
    beats: list[tuple[int, Row]]
    expected: list[tuple[int, Row]]


def rotated(rows: list[Row], axis: int, order: int) -> list[Row]:
    """Transform along the channels (lanes, then time) or the width (beats 2 apart)."""
    beats = torch.tensor(rows, dtype=torch.int64)
    if axis == CHANNEL:
        out = rotate(beats.flatten(), order, 0)                 # (T, lanes) -> (T * lanes)
    else:
        out = rotate(beats.unflatten(0, (-1, 2)), order, 0)     # (T, lanes) -> (T / 2, 2, lanes)
    result: list[Row] = out.reshape(beats.shape).tolist()
    return result


def block_beats(axis: int, order: int, lanes: int) -> int:
    """Beats of the smallest stream: whole blocks and whole channel words."""
    return 2 << order if axis == WIDTH else max(2, (1 << order) // lanes)


def exchange(beats: list[tuple[int, Row]], axis: int, order: int) -> list[tuple[int, Row]]:
    """Natural order to that between the forward transform and the inverse, or back."""
    mask = exchanged(len(beats[0][1]), axis, order)
    return [beats[t ^ mask] for t in range(len(beats))]


def rotation_stream(axis: int, order: int, lanes: int, bits: int, rng: random.Random,
                    inverse: bool = False) -> Stream:
    """A few blocks of random numbers and extremes, whose nibble tags change between blocks."""
    block = block_beats(axis, order, lanes)
    blocks = rng.randint(1, max(2, 24 // block))
    top = 1 << (bits - 1)
    rows = [[rng.choice((-top, top - 1, rng.randrange(-top, top))) for _ in range(lanes)]
            for _ in range(block * blocks)]
    if rng.random() < 0.3:
        rows[:block] = [[-top] * lanes] * block
    tags = [tag for _ in range(blocks) for tag in [rng.getrandbits(1)] * block]
    beats = list(zip(tags, rows, strict=True))
    results = list(zip(tags, rotated(rows, axis, order), strict=True))
    settings = {"axis": axis, "order": order}
    if inverse:
        return Stream(settings, exchange(beats, axis, order), results)
    return Stream(settings, beats, exchange(results, axis, order))


def quantised_streams(multiplier: int, shift: int, bits: int, values: Sequence[int],
                      lanes: int, bounds: tuple[int, int] | None = None) -> list[Stream]:
    """`values` through the quantiser at `bits` activation bits, one stream per nibble.

    `bounds`: (low, high), by default -Q and Q.
    """
    low, high = bounds or (-symmetric_max(bits), symmetric_max(bits))
    rows = [list(values[i:i + lanes]) for i in range(0, len(values), lanes)]
    q = quantise(torch.tensor(rows, dtype=torch.int64), multiplier, shift, low, high)
    parts = split_nibbles(q) if nibbles(bits) == 2 else (q,)
    settings = {"multiplier": multiplier, "shift": shift, "low": -low, "high": high,
                "split": int(nibbles(bits) == 2)}
    return [Stream(settings, [(k, row) for row in rows], [(k, row) for row in part.tolist()])
            for k, part in enumerate(parts)]


def near_a_level(multiplier: int, shift: int, bits: int, count: int,
                 rng: random.Random) -> list[int]:
    """Rotated carriers of `bits` bits about levels and ties of the quantiser, and both ends."""
    top = 1 << (bits - 1)
    step = max(1, (1 << shift) // multiplier)       # about one quantised level
    values = [rng.randrange(-9, 9) * step + rng.choice((-1, 0, 1, step // 2))
              for _ in range(count - 2)]
    return [-top, top - 1, *(max(-top, min(top - 1, v)) for v in values)]

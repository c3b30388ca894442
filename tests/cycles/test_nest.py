"""The bursts of a chunk, against the requests docs/load.md describes, one by one."""

import random
from itertools import cycle

import pytest

from hqdm.cycles.nest import Nest
from hqdm.cycles.port import bursts
from hqdm.cycles.tiling import candidates
from hqdm.golden.random import random_layer
from hqdm.spec import config_by_name


def naive_requests(nest, tile, chunk):
    """(address, beats) of one nibble pass, addresses from the beginning of each source."""
    width, words = nest.layer.load.width, nest.source_words
    first = sum(nest.chunk_words[:chunk])
    chosen = [(0, w) if w < words[0] else (1, w - words[0])
              for w in range(first, first + nest.chunk_words[chunk])]
    parts = [[w for s, w in chosen if s == source] for source in range(2)]
    used = [(words[s], part) for s, part in enumerate(parts) if part]
    wide = nest.axis and nest.order
    rows = range(nest.first_rows[tile], nest.first_rows[tile] + nest.rows[tile])
    for row in rows:
        if len(used) == 1 and len(used[0][1]) == used[0][0] and (not wide or len(chosen) == 1):
            beats = 2 * used[0][0] * width
            yield row * beats, beats
        elif wide:
            for total, part in used:
                yield from ((2 * ((row * width + x) * total + w), 2)
                            for w in part for x in range(width))
        else:
            for x in range(width):
                yield from ((2 * ((row * width + x) * total + part[0]), 2 * len(part))
                            for total, part in used)


@pytest.mark.parametrize("name", ["n4", "n16"])
@pytest.mark.parametrize("seed", range(30))
def test_bursts_of_every_chunk(name, seed):
    rng, config = random.Random(f"{name} {seed}"), config_by_name(name)
    plans = []
    while not plans:
        layer = random_layer(rng, config)
        plans = list(candidates(layer, config))
    nest = Nest(layer, config, rng.choice(plans))
    for tile in range(len(nest.rows)):
        for index in range(len(nest.chunk_words)):
            chunk = nest.chunk(tile, index)
            wanted = [(length, k == 0) for address, beats in naive_requests(nest, tile, index)
                      for k, length in enumerate(bursts(address % 16, beats))]
            assert chunk.beats == sum(length for length, _ in wanted)
            repeated = [burst for burst, _ in zip(cycle(chunk.unit), wanted, strict=False)]
            # a row of whole bursts counts as a request per burst
            assert [length for length, _ in repeated] == [length for length, _ in wanted]
            if set(chunk.unit) != {(16, True)}:
                assert repeated == wanted


@pytest.mark.parametrize(("address", "beats", "lengths"), [
    (0, 40, [16, 16, 8]), (10, 8, [6, 2]), (14, 2, [2]), (3, 32, [13, 16, 3])])
def test_bursts_end_at_multiples(address, beats, lengths):
    assert bursts(address, beats) == lengths

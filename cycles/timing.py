"""Counts of cycles that the RTL has and the model needs; no Amaranth here, so that it loads fast.

tests/cycles/test_timing.py compares those that `rtl/` names or composes; the others are counted
by hand and confirmed by whole layers in sim/tests/test_estimator.py, docs/cycles.md.
Times are relative to START, the first cycle in which the units run.
"""

from math import ceil

from hqdm.spec.config import Config
from hqdm.spec.descriptor import FIELD, FIELDS, STEP_FIELDS
from hqdm.spec.field import used_bits
from hqdm.spec.stages import STORE_LATENCY, Stage, store_start

# rtl/bus: reader, writer
FIFO_BEATS = 64         # beats a reader holds; the weight reader 2n if that is more
SPLIT = 1               # from a request to the cycle in which its burst is cut off
REQUEST = 3             # from a request to the cycle in which its burst is issued
GAP = 2                 # from a burst issued to the next one
ROOM = 3                # from a beat taken to the cycle in which its room is claimed
ISSUE = 1               # from a burst issued to `arvalid`; the memory counts its latency from here
BEAT = 3                # from `rvalid` to the beat at the unit
# rtl/control/fetch.py
FETCH = 2               # from START's write to the request of the descriptor
FETCH_READ = 7          # from a request to its first word taken, besides the memory
ASK = 4                 # from the word `timesteps` taken to the request of the step table entry
CHECKED = 4             # from the last word taken to START
# rtl/load
QUEUE = 2               # from the first request of a chunk to the data side's knowing of it
NEXT = 3                # between two chunks that the data side takes
REQUESTS = 7            # from START, or from the last request of a chunk, to the next one
BANK_DONE = 4           # from the last operand of a chunk to the cycle it may be multiplied
BANK_FREE = 4           # from the last column of a chunk to the first operand of the chunk that
                        # takes its place
WRITTEN = 1             # from a beat taken, or flushed, to the pipeline's moving
# rtl/multiply
MIN_PASS = 4            # cycles between the starts of two passes
SEQUENCER = 3           # from a column issued to the array
SWAP = 2                # from the first column of a pass to `swap`, after which a tile is pushed
LOADED = 2              # from the first row pushed to the first column that may be issued
ARRAY_ENTRY = 3         # from the array's input to its first row of partial sums
ARRAY_TO_BANK = 3       # from the last sum out of the array to a complete bank
# rtl/store
GROUPS = 4              # cycles per output word
SUMS_LATENCY = 4        # from a group issued to the stages
AHEAD = 1               # from a group issued to the read of its parameters
OUTPUT = 1              # from the last group at the writer to an address issued
MOVED = 2               # from there to the second beat of its word; from here memory counts
TAKEN = 2               # from there to the cycle in which the word's room is claimed
SECOND_WORDS = 8        # words of the second operand held
WRITE_WORDS = 16        # words issued and not yet sent
PARAMETER_BEATS = 4     # M and bias of an output word
STORE_REQUEST = 2       # from START to the first request of M
STORE_GAP = 3           # from a request of the store to the next one
NEVER = -(1 << 60)      # a time before everything
DESCRIPTOR_BITS, STEP_BITS = used_bits(FIELDS), used_bits(STEP_FIELDS)


def second_at(stage: Stage) -> int:
    """Cycles from a group issued to the read of the second operand that `stage` takes."""
    assert stage.second is not None
    return AHEAD + store_start(stage.name) - stage.second


def setup_beats(config: Config) -> int:
    """Beats of descriptor and step table entry."""
    return sum(-(-bits // config.bus_bits) for bits in (DESCRIPTOR_BITS, STEP_BITS))


def _taken(words: int, per_beat: int, first: int, interval: float, free: int) -> list[int]:
    """When each word is taken: one per cycle from `free` on, a beat every `interval` cycles."""
    times: list[int] = []
    for word in range(words):
        free = max(free, first + ceil(word // per_beat * interval))
        times.append(free)
        free += 1
    return times


def setup_cycles(config: Config, latency: int, interval: float = 1) -> int:
    """Cycles before START: the descriptor and, asked for while it comes, the step table entry."""
    per_beat = config.bus_bits // 32
    first = FETCH + FETCH_READ + latency
    layer = _taken(DESCRIPTOR_BITS // 32, per_beat, first, interval, 0)
    asked = layer[FIELD["timesteps"].word] + ASK
    beats = -(-DESCRIPTOR_BITS // config.bus_bits)
    arrival = max(asked + FETCH_READ + latency, first + ceil(beats * interval))
    step = _taken(STEP_BITS // 32, per_beat, arrival, interval, layer[-1] + 1)
    return step[-1] + CHECKED


def weight_fifo_beats(config: Config) -> int:
    return max(FIFO_BEATS, 2 * config.n)


def bank_ready(config: Config) -> int:
    """From the last column of an output word issued to the first group of its store."""
    return SEQUENCER + ARRAY_ENTRY + config.n + config.n // 2 + ARRAY_TO_BANK


def store_latency() -> int:
    """From a group issued to the output queue."""
    return SUMS_LATENCY + STORE_LATENCY

"""The checks of descriptor and step table entry, a 32-bit word at a time."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.spec.config import Config
from hqdm.spec.descriptor import FIELDS, MAGIC, STEP_FIELDS, Field
from hqdm.spec.fixed import MAX_ORDER, MAX_SHIFT, RESIDUAL_SHIFT, quantised_magnitude, symmetric_max

FIELD = {f.name: f for f in FIELDS}
STEP_FIELD = {f.name: f for f in STEP_FIELDS}
NONZERO = ("height", "width", "out_height", "out_width", "words0", "out_words", "tile_rows",
           "chunk_words", "chunks", "plane_words", "timesteps")
ADDRESSES = ("source0", "source1", "weights", "multipliers", "steps", "second", "output")


def _zero(field: Field) -> str:
    """The test for zero of a field that is a word or one half of it."""
    return "zero" if field.bits == 32 else "high zero" if field.lsb else "low zero"


def descriptor_tests() -> dict[int, list[str]]:
    """Names of the tests that each word of the descriptor has to pass."""
    tests = {FIELD["magic"].word: ["magic"], FIELD["config_hash"].word: ["hash"],
             FIELD["order"].word: ["modes"], FIELD["kernel"].word: ["shape"]}
    for name in NONZERO:
        tests.setdefault(FIELD[name].word, []).append(_zero(FIELD[name]))
    for name in ADDRESSES:
        tests |= {FIELD[name].word: ["misaligned"], FIELD[name].word + 1: ["beyond"]}
    return tests


def step_tests() -> dict[int, list[str]]:
    """Names of the tests that each word of the step table entry has to pass."""
    bias = STEP_FIELD["bias"].word
    return {STEP_FIELD["load_multiplier"].word: ["low zero", "shift"],
            STEP_FIELD["step_multiplier"].word: ["low zero", "shift"],
            STEP_FIELD["residual_shift"].word: ["align"],
            STEP_FIELD["low"].word: ["bounds"], bias: ["misaligned"], bias + 1: ["beyond"]}


class WordCheck(wiring.Component):
    """Whether a word of the descriptor or of the step table entry is bad.

    Latency: `latency` cycles from a word to `bad`, `field` and `late`; one word per cycle.

    Parameters
    ----------
    config: its hash, and how addresses are aligned and how far they reach.

    Members
    -------
    word, index: a word and its number. entry: it is of the step table entry.
    timestep: register. two_passes: the descriptor has two activation nibbles.
    bad: a field of the word is outside its range. field: number of the word it begins in.
    late: the step table ends before `timestep`.
    """

    latency = 2

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "word": In(32), "index": In(5), "entry": In(1),
            "timestep": In(32), "two_passes": In(1),
            "bad": Out(1), "field": Out(5), "late": Out(1),
        })

    def _field(self, name):
        field = FIELD.get(name) or STEP_FIELD[name]
        return self.word[field.lsb:field.lsb + field.bits]

    def _good_modes(self):
        one, two = self._field("act_nibbles"), self._field("weight_nibbles")
        bits, residual = self._field("weight_bits"), self._field("residual")
        yield self._field("order") <= MAX_ORDER
        yield (one == 1) | (one == 2)
        yield (two == 1) | (two == 2)
        yield (bits >= 2) & (bits <= 4)
        yield residual != 3
        yield ~self._field("row_scale") | (residual == 0)

    def _good_shape(self):
        kernel, stride = self._field("kernel"), self._field("stride")
        yield kernel[0]                 # 1 or 3
        yield (stride == 1) | (stride == 2)
        yield self._field("channel_shift") <= MAX_SHIFT

    def _tests(self):
        """What is bad about the word, by the name of the test."""
        word, bits = self.word, self._config.address_bits
        low = self._config.word_bytes.bit_length() - 1
        most = Mux(self.two_passes, symmetric_max(8), quantised_magnitude(4, True))
        return {
            "magic": word != MAGIC, "hash": word != self._config.hash,
            "modes": ~Cat(self._good_modes()).all(), "shape": ~Cat(self._good_shape()).all(),
            "low zero": word[:16] == 0, "high zero": word[16:] == 0, "zero": word == 0,
            "misaligned": Cat(word[:low], word[bits:]).any(),
            "beyond": word[max(0, bits - 32):].any(),
            "shift": self._field("load_shift") > MAX_SHIFT,
            "align": self._field("residual_shift") > 2 * RESIDUAL_SHIFT,
            "bounds": (self._field("low") > most) | (self._field("high") > most),
        }

    def elaborate(self, platform):
        m = Module()
        failed, index, late = {}, Signal(6), Signal()
        for name, bad in self._tests().items():
            failed[name] = Signal(name=f"failed_{name.replace(' ', '_')}")
            m.d.sync += failed[name].eq(bad)
        m.d.sync += [
            index.eq(Cat(self.index, self.entry)), self.bad.eq(0), self.field.eq(index),
            late.eq(self.timestep >= self._field("timesteps")),
            self.late.eq(late & (index == FIELD["timesteps"].word)),
        ]
        with m.Switch(index):
            for offset, tests in ((0, descriptor_tests()), (32, step_tests())):
                for word, names in tests.items():
                    with m.Case(offset + word):
                        m.d.sync += self.bad.eq(Cat(failed[name] for name in names).any())
                        if names == ["beyond"]:
                            m.d.sync += self.field[0].eq(0)     # the upper word of an address
        return m

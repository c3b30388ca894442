"""The checks of descriptor and step table entry, a 32-bit word at a time."""

from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.spec.config import Config
from hqdm.spec.descriptor import FIELD, FIELDS, STEP_FIELDS
from hqdm.spec.field import Field
from hqdm.spec.legal import (
    Address,
    Anything,
    ConfigHash,
    Constant,
    Nonzero,
    OneOf,
    Range,
    UpTo,
    Without,
)

# Names of the tests of small fields, which share a word, by the first of them; two words with the
# same fields at the same place share the test too. What has no name here goes by its field's.
NAMES = {"magic": "magic", "config_hash": "hash", "order": "modes", "kernel": "shape",
         "load_shift": "shift", "step_shift": "shift", "residual_shift": "align", "low": "bounds"}
Tests = dict[int, dict[str, list[Field]]]


def word_tests(fields: tuple[Field, ...]) -> Tests:
    """By word, what it has to pass: names of tests, each with the fields it looks at."""
    tests: Tests = {}
    for field in fields:
        word = tests.setdefault(field.word, {})
        match field.legal:
            case Anything():
                pass
            case Address():
                word["misaligned"] = [field]
                tests[field.word + 1] = {"beyond": [field]}
            case Nonzero():
                half = "" if field.bits == 32 else "high " if field.lsb else "low "
                word[f"{half}zero"] = [field]
            case _:
                begun = [t for t in word if not isinstance(word[t][0].legal, Nonzero)]
                name = begun[0] if begun else NAMES.get(field.name, field.name)
                word.setdefault(name, []).append(field)
    return {word: names for word, names in tests.items() if names}


TESTS, STEP_TESTS = word_tests(FIELDS), word_tests(STEP_FIELDS)


class WordCheck(Component):
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

    def _value(self, field):
        return self.word[field.lsb:field.lsb + field.bits]

    def _most(self, legal):
        """The largest legal value, or None if there is more to know."""
        match legal:
            case UpTo():
                return Mux(self.two_passes, legal.two_passes, legal.one_pass)
            case Range(low=0):
                return legal.high
        return None

    def _good(self, field):
        value = self._value(field)
        match field.legal:
            case OneOf(values=values):
                return self._one_of(value, set(values), set(range(1 << field.bits)))
            case Without(other=other):
                return ~value | (self._value(FIELD[other]) == 0)
            case Range(low=low, high=high) if low:
                return (value >= low) & (value <= high)
        return value <= self._most(field.legal)

    @staticmethod
    def _one_of(value, legal, every):
        """One comparison or one bit, where that tells."""
        if len(every - legal) == 1:
            return value != (every - legal).pop()
        for bit in range(len(value)):
            if legal == {v for v in every if v >> bit & 1}:
                return value[bit]
        return reduce(or_, (value == v for v in sorted(legal)))

    def _bad(self, name, fields):
        value, legal = self._value(fields[0]), fields[0].legal
        bits, low = self._config.address_bits, self._config.word_bytes.bit_length() - 1
        match name, legal:
            case "misaligned", _:
                return Cat(self.word[:low], self.word[bits:]).any()
            case "beyond", _:
                return self.word[max(0, bits - 32):].any()
            case _, Nonzero():
                return value == 0
            case _, Constant():
                return value != legal.value
            case _, ConfigHash():
                return value != self._config.hash
        most = [self._most(field.legal) for field in fields]
        if any(m is None for m in most):
            return ~Cat(self._good(field) for field in fields).all()
        return reduce(or_, (self._value(f) > m for f, m in zip(fields, most, strict=True)))

    def elaborate(self, platform):
        m = Module()
        failed, index, late = {}, Signal(6), Signal()
        for tests in (*TESTS.values(), *STEP_TESTS.values()):
            for name, fields in tests.items():
                if name not in failed:      # one test serves all words with a field at that place
                    failed[name] = Signal(name=f"failed_{name.replace(' ', '_')}")
                    m.d.sync += failed[name].eq(self._bad(name, fields))
        m.d.sync += [
            index.eq(Cat(self.index, self.entry)), self.bad.eq(0), self.field.eq(index),
            late.eq(self.timestep >= self._value(FIELD["timesteps"])),
            self.late.eq(late & (index == FIELD["timesteps"].word)),
        ]
        with m.Switch(index):
            for offset, words in ((0, TESTS), (32, STEP_TESTS)):
                for word, tests in words.items():
                    with m.Case(offset + word):
                        m.d.sync += self.bad.eq(Cat(failed[name] for name in tests).any())
                        if "beyond" in tests:
                            m.d.sync += self.field[0].eq(0)     # the upper word of an address
        return m

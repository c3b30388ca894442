"""Fields of what the core reads from memory: where each one is, and the codec made of them.

The core's checks, those of the functional device and the manual's tables come from these records
too. A structure is a frozen dataclass whose attributes are declared with `at`.
"""

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Any, ClassVar, Self

from hqdm.spec.config import Config
from hqdm.spec.legal import Address, Anything, Legal


@dataclass(frozen=True)
class Field:
    """`bits` bits at bit `lsb` of 32-bit word `word`; 64-bit fields take two words."""

    name: str
    word: int
    lsb: int
    bits: int
    doc: str
    legal: Legal

    @property
    def most(self) -> int:
        """Largest value that fits."""
        return (1 << self.bits) - 1

    @property
    def values(self) -> str:
        """The legal values, for the manual."""
        return "0, 1" if self.bits == 1 and self.legal == Anything() else str(self.legal)

    @property
    def shift(self) -> int:
        """Number of its lowest bit in the whole structure."""
        return 32 * self.word + self.lsb


def at(word: int, lsb: int, bits: int, doc: str, legal: Legal | None = None,
       default: Any = MISSING) -> Any:
    """Declares an attribute of a structure; `legal` is anything unless given."""
    place = {"word": word, "lsb": lsb, "bits": bits, "doc": doc, "legal": legal or Anything()}
    return field(default=default, metadata=place)


def used_bits(layout: Iterable[Field]) -> int:
    """Bits of the words that hold fields, from the first word on: what the core reads."""
    return 32 * max(f.word + -(-(f.lsb + f.bits) // 32) for f in layout)


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Base of the structures in memory: unsigned integers, packed into little-endian words.

    Members
    -------
    SIZE: bytes in memory.
    """

    SIZE: ClassVar[int]

    @classmethod
    @cache
    def layout(cls) -> tuple[Field, ...]:
        """The fields in the order of declaration."""
        return tuple(Field(name=f.name, **f.metadata) for f in fields(cls))

    def encode(self) -> bytes:
        """`SIZE` bytes; ValueError if a value does not fit its field. It need not be legal."""
        image = 0
        for f in self.layout():
            value = getattr(self, f.name)
            if not 0 <= value <= f.most:
                raise ValueError(f"descriptor field {f.name}: wanted 0..{f.most}, got {value}")
            image |= value << f.shift
        return image.to_bytes(self.SIZE, "little")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Inverse of `encode`; ValueError if `data` is not `SIZE` bytes long."""
        if len(data) != cls.SIZE:
            raise ValueError(f"{cls.__name__}: wanted {cls.SIZE} bytes, got {len(data)}")
        image = int.from_bytes(data, "little")
        return cls(**{f.name: image >> f.shift & f.most for f in cls.layout()})

    def first_illegal(self, config: Config, descriptor: "Structure") -> Field | None:
        """The first field in memory that the core refuses, or None.

        Parameters
        ----------
        descriptor: what it is checked beside: a descriptor itself, a step entry its descriptor.
        """
        for f in sorted(self.layout(), key=lambda f: f.shift):
            if not f.legal.allows(getattr(self, f.name), config, descriptor):
                return f
        return None

    def moved(self, distance: int) -> Self:
        """The same in a memory that begins `distance` bytes later; the address 0 is none."""
        addresses = {f.name: getattr(self, f.name) for f in self.layout()
                     if isinstance(f.legal, Address)}
        return replace(self, **{name: a + distance for name, a in addresses.items() if a})

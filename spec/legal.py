"""Which values a field of a descriptor may have: one small record per kind of rule."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from hqdm.spec.config import Config


class Legal(ABC):
    """Which values of a field are legal; its text is what the manual says."""

    @abstractmethod
    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        """Whether `value` is legal on a core of `config`, beside the rest of the descriptor."""

    @abstractmethod
    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Anything(Legal):
    """Every value that fits the field: the core takes it as it is."""

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return True

    def __str__(self) -> str:
        return "any"


@dataclass(frozen=True)
class Range(Legal):
    """low .. high, both legal."""

    low: int
    high: int

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


@dataclass(frozen=True)
class OneOf(Legal):
    """A few values."""

    values: tuple[int, ...]

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Nonzero(Legal):
    """Anything but 0."""

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return value != 0

    def __str__(self) -> str:
        return "not 0"


@dataclass(frozen=True)
class Constant(Legal):
    """One value."""

    value: int

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return value == self.value

    def __str__(self) -> str:
        return f"0x{self.value:08X}"


@dataclass(frozen=True)
class ConfigHash(Legal):
    """`Config.hash` of the core."""

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return value == config.hash

    def __str__(self) -> str:
        return "the core's"


@dataclass(frozen=True)
class Address(Legal):
    """A byte address within the core's address bits, aligned to `Config.word_bytes`."""

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return value < 1 << config.address_bits and value % config.word_bytes == 0

    def __str__(self) -> str:
        return "an aligned address"


@dataclass(frozen=True)
class Without(Legal):
    """A flag that may be set only while another field of the descriptor is 0."""

    other: str

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        return not value or getattr(descriptor, self.other) == 0

    def __str__(self) -> str:
        return f"0, or 1 with {self.other} 0"


@dataclass(frozen=True)
class UpTo(Legal):
    """0 .. a limit for one pass or for two, as the descriptor's field `passes` says."""

    passes: str
    one_pass: int
    two_passes: int

    def allows(self, value: int, config: Config, descriptor: object) -> bool:
        two = getattr(descriptor, self.passes) == 2
        return value <= (self.two_passes if two else self.one_pass)

    def __str__(self) -> str:
        return f"0..{self.one_pass}, two passes 0..{self.two_passes}"

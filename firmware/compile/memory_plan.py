"""Where everything is in device memory: constants stay, activations share space by lifetime."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Region:
    """Bytes that must not be shared with what lives at the same time.

    Parameters
    ----------
    name: label used in reports, of one region only.
    size: bytes, at least 1.
    alignment: of the address, a power of two.
    first, last: nodes at whose start and end it is written first and read last; None and None for
        constants, which live always.

    Raises
    ------
    ValueError: no bytes, or an end before the start.
    """

    name: str
    size: int
    alignment: int
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"{self.name}: wanted at least 1 byte, got {self.size}")
        if (self.first is None) != (self.last is None) or (
                self.first is not None and self.last is not None and self.last < self.first):
            raise ValueError(f"{self.name}: wanted a lifetime, got {self.first}..{self.last}")

    @property
    def constant(self) -> bool:
        return self.first is None

    def lives_with(self, other: "Region") -> bool:
        """Whether there is a node at which both are needed."""
        if self.first is None or other.first is None or self.last is None or other.last is None:
            return True
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Regions with their addresses, checked.

    Parameters
    ----------
    regions: of different names.
    addresses: byte address of each.
    memory_bytes: size of the memory, a limit.
    base: its first address.

    Raises
    ------
    ValueError: two regions that live at the same time overlap, an address is not aligned, or a
        region ends beyond the memory.
    """

    regions: tuple[Region, ...]
    addresses: tuple[int, ...]
    memory_bytes: int
    base: int = 0

    def __post_init__(self) -> None:
        placed = sorted(zip(self.addresses, self.regions, strict=True), key=lambda p: p[0])
        for index, (address, region) in enumerate(placed):
            _check_place(region, address, self.base, self.memory_bytes)
            for other, neighbour in placed[index + 1:]:
                if other >= address + region.size:
                    break
                if region.lives_with(neighbour):
                    raise ValueError(
                        f"memory plan: {region.name} ({region.size} bytes at {address:#x}) and "
                        f"{neighbour.name} ({neighbour.size} bytes at {other:#x}) overlap")

    def table(self) -> dict[str, int]:
        """Address of every region by name."""
        return {r.name: a for r, a in zip(self.regions, self.addresses, strict=True)}

    @property
    def constant_bytes(self) -> int:
        """Memory of the constants, which come first."""
        return self._end(r.constant for r in self.regions)

    @property
    def total_bytes(self) -> int:
        """Memory used, to the end of the last region."""
        return self._end(True for _ in self.regions)

    @property
    def activation_bytes(self) -> int:
        """Memory that activations and scratch share."""
        return self.total_bytes - self.constant_bytes

    @property
    def unshared_bytes(self) -> int:
        """What activations and scratch would take without sharing."""
        return sum(r.size for r in self.regions if not r.constant)

    def _end(self, chosen: Iterable[bool]) -> int:
        ends = [a + r.size for a, r, c in zip(self.addresses, self.regions, chosen, strict=True)
                if c]
        return max(ends, default=self.base) - self.base


def _check_place(region: Region, address: int, base: int, memory_bytes: int) -> None:
    if address < base or address % region.alignment:
        raise ValueError(f"memory plan: {region.name}: wanted an address aligned to "
                         f"{region.alignment}, got {address:#x}")
    if address + region.size > base + memory_bytes:
        raise ValueError(f"memory plan: {region.name}: wanted an end within {memory_bytes} bytes, "
                         f"got {region.size} bytes at {address:#x}")


def _aligned(address: int, alignment: int) -> int:
    return -(-address // alignment) * alignment


def _best_gap(region: Region, taken: Iterable[tuple[int, int]], base: int) -> int:
    """Address of the smallest gap between `taken` (start, end) that holds `region`."""
    best, best_size, free = -1, 0, base
    for start, end in sorted(taken):
        address = _aligned(free, region.alignment)
        if start - address >= region.size and (best < 0 or start - free < best_size):
            best, best_size = address, start - free
        free = max(free, end)
    return best if best >= 0 else _aligned(free, region.alignment)


def place(regions: Sequence[Region], memory_bytes: int, what: str, base: int = 0) -> MemoryPlan:
    """Constants one after the other, then the others, largest first, each in the smallest gap
    that nothing living at the same time takes, from address `base` on.

    Raises
    ------
    ValueError: more than `memory_bytes` are needed; says how many, and for what.
    """
    address: dict[str, int] = {}
    free = base
    for region in regions:
        if region.constant:
            address[region.name] = _aligned(free, region.alignment)
            free = address[region.name] + region.size
    constants = free
    done: list[tuple[Region, int]] = []
    moving = [r for r in regions if not r.constant]
    for region in sorted(moving, key=lambda r: (-r.size, r.first, r.name)):
        taken = [(a, a + r.size) for r, a in done if r.lives_with(region)]
        address[region.name] = _best_gap(region, taken, constants)
        done.append((region, address[region.name]))
    total = max((address[r.name] + r.size for r in regions), default=base) - base
    if total > memory_bytes:
        raise ValueError(f"{what}: wanted {total} bytes of memory ({constants - base} of "
                         f"constants, {total - (constants - base)} of activations), the device "
                         f"has {memory_bytes}")
    return MemoryPlan(regions=tuple(regions), addresses=tuple(address[r.name] for r in regions),
                      memory_bytes=memory_bytes, base=base)

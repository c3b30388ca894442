"""Memories, all of them as the units want them: at first zero, and read by nobody before."""

from typing import Any

from amaranth.lib.memory import Memory

# in block RAM, without logic for a read and a write of the same entry at once, which never happen
BLOCK: dict[str, Any] = {"ram_style": "block", "no_rw_check": 1}


def memory(shape: Any, depth: int, **attrs: Any) -> Any:
    """A memory of `depth` entries of `shape` with the synthesis attributes `attrs`.

    Its caller adds it as a submodule and asks it for ports.
    """
    return Memory(shape=shape, depth=depth, init=[], attrs=attrs)

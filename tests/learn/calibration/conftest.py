"""The small networks of `tests.small_networks` as fixtures."""

from tests.small_networks import free, w4a4, w8a8

__all__ = ["free", "w4a4", "w8a8"]

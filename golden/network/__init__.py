"""The integer network: its list of layers with their integers, and what runs them."""

from hqdm.golden.network.interpreter import IntegerNetwork

__all__ = ["IntegerNetwork"]

"""The base of every hardware block."""

from typing import TYPE_CHECKING, Any

from amaranth.lib import wiring


class Component(wiring.Component):
    """A `wiring.Component`; to a type checker a name that it does not declare is a port.

    Ports are listed once, in the dictionary given to ``super().__init__``, which a type checker
    does not read. Python itself refuses an unknown name as always.
    """

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any: ...

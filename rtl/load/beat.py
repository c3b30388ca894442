"""What travels through the load pipeline: one beat of `lanes` numbers and its tag."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import Out


class Beat(wiring.Signature):
    """One beat, seen from its producer. Nothing here is a handshake: all stages move together.

    Members
    -------
    valid: the beat is part of a stream.
    nibble: 1 in the pass that takes the high nibble of the quantised values.
    data: one separate signal per lane (simulators handle 32-bit signals best).
    """

    def __init__(self, lanes, bits):
        super().__init__({
            "valid": Out(1), "nibble": Out(1), "data": Out(signed(bits)).array(lanes),
        })

"""What a property is written with: free inputs, assumptions, assertions, stream rules."""

from amaranth import *

FIXED, ASSERT, ASSUME, GOAL = "fixed_", "assert_", "assume_", "goal_"
INDEX_BITS = 6      # more items are never inside a unit


class Harness:
    """A module `m` whose ports are the free inputs, assertions and assumptions of a property.

    The first cycle is the one after reset; there is no other.
    """

    def __init__(self):
        self.m = Module()
        self.ports: list[Value] = [Signal(name="clk")]
        self.m.domains.sync = ClockDomain(reset_less=True)
        self.m.d.comb += ClockSignal().eq(self.ports[0])

    def free(self, shape, name):
        """An input that takes any value in any cycle."""
        signal = Signal(shape, name=name)
        self.ports.append(Value.cast(signal))
        return signal

    def fixed(self, shape, name):
        """An input that takes any value and keeps it."""
        return self.free(shape, FIXED + name)

    def require(self, name, condition):
        """`condition` has to hold in every cycle."""
        self.m.d.comb += self.free(1, ASSERT + name).eq(Value.cast(condition).bool())

    def assume(self, name, condition):
        """Only cycles with `condition`, and those before them, are looked at."""
        self.m.d.comb += self.free(1, ASSUME + name).eq(Value.cast(condition).bool())

    def register(self, shape, name, following, init=0):
        """A register; `following(register)` is its next value."""
        signal = Signal(shape, name=name, init=init)
        self.m.d.sync += signal.eq(following(signal))
        return signal

    def past(self, value, name):
        """`value` one cycle ago, 0 in the first cycle."""
        return self.register(Value.cast(value).shape(), name, lambda _: value)

    def drive(self, signal, name):
        """Drive `signal` (an input of a unit) with a free input of the same shape."""
        source = self.free(Value.cast(signal).shape(), name)
        self.m.d.comb += Value.cast(signal).eq(source)
        return source

    def tie(self, signal, value):
        """Drive `signal`, of whatever layout, with `value`."""
        self.m.d.comb += Value.cast(signal).eq(value)

    def kept(self, waiting, offer, name, valid):
        """Whether what was `waiting` a cycle ago is still offered, and still the same."""
        was = self.past(waiting, f"{name}_waiting")
        return ~was | (valid & (offer == self.past(offer, f"{name}_offer")))

    def held(self, name, stream, *, unless=0):
        """A stream keeps its offer until it is taken."""
        kept = self.kept(stream.valid & ~stream.ready & ~unless, Value.cast(stream.payload), name,
                         stream.valid)
        self.require(f"{name}_held", unless | kept)

    def in_order(self, name, push, pushed, pop, popped, *, clear=0, bits=INDEX_BITS):
        """What goes in comes out: nothing is lost, invented, repeated, reordered or changed.

        Drives `pushed`: one item, whichever, is 1, the others are 0 (buffers do not look at them).
        Returns the number of items inside.
        """
        pushed, popped = Value.cast(pushed), Value.cast(popped)
        marked, ahead = Signal(name=f"{name}_marked"), Signal(bits, name=f"{name}_ahead")
        inside = self.register(
            bits, f"{name}_inside", lambda n: Mux(clear, 0, n + push - pop))
        past = self.register(1, f"{name}_past", lambda past: past | marked | clear)
        mark, here = Signal(name=f"{name}_mark"), Signal(name=f"{name}_here")
        self.m.d.comb += [
            mark.eq(self.free(1, f"{name}_choose") & ~past & ~marked),
            pushed.eq(mark),
            here.eq(marked & (ahead == 0)),
        ]
        with self.m.If(clear | (pop & here)):
            self.m.d.sync += marked.eq(0)
        with self.m.Elif(push & mark):
            self.m.d.sync += [marked.eq(1), ahead.eq(inside - pop)]
        with self.m.Elif(pop & marked):
            self.m.d.sync += ahead.eq(ahead - 1)
        self.require(f"{name}_not_invented", ~pop | (inside != 0))
        self.require(f"{name}_in_order", ~pop | (popped == here))
        return inside

    def goal(self, name, condition):
        """From any reachable state `condition` is reached if all free inputs stay 1."""
        self.m.d.comb += self.free(1, GOAL + name).eq(Value.cast(condition).bool())

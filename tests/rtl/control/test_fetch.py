"""Fetch against the spec codec: fields, entry of the timestep, first bad word."""

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.control.fetch import Fetch
from hqdm.spec import PRESETS
from hqdm.spec.descriptor import (
    DESCRIPTOR_BYTES,
    FIELD,
    FIELDS,
    STEP_BYTES,
    STEP_FIELD,
    STEP_FIELDS,
    Descriptor,
    StepEntry,
)
from hqdm.spec.registers import Fault

CONFIG = PRESETS["n8"]
BASE, STEPS = 0x400, 0x1000
DESCRIPTOR_USED = max(4 * f.word + f.bits // 8 for f in FIELDS)
GOOD = {f.name: 1 for f in FIELDS if f.name != "magic"} | {
    "config_hash": CONFIG.hash, "weight_bits": 4, "kernel": 3, "order": 5,
    "row_scale": 0, "timesteps": 3, "height": 17, "plane_words": 1234567, "source0": 0x2000,
    "source1": 0, "weights": 0x3000, "multipliers": 0x4000, "steps": STEPS, "second": 0,
    "output": 0x5000,
}


def step(timestep):
    return {"load_multiplier": 40000 + timestep, "load_shift": 30 + timestep,
            "step_multiplier": 50000 + timestep, "step_shift": 20, "residual_shift": 15,
            "low": 8, "high": 7, "bias": 0x6000 + 0x100 * timestep}


def fetch(layer=None, timestep=0, address=BASE, steps=None, pause=1, hold=0):
    """Run one fetch; returns the component's outputs, the requests, and what was left untaken.

    `pause`: cycles between two beats, `hold`: cycles that a request waits.
    """
    image = {BASE: Descriptor(**GOOD | (layer or {})).encode()}
    for t in range(3):
        image[STEPS + STEP_BYTES * t] = StepEntry(**step(t) | (steps or {})).encode()
    memory = bytearray(1 << 14)
    for at, data in image.items():
        memory[at:at + len(data)] = data
    dut, result, taken = Fetch(CONFIG), {}, []

    requests = []

    async def listen(ctx):
        waited = 0
        while True:
            ctx.set(dut.read.request.ready, waited == hold)
            _, _, valid, request = await ctx.tick().sample(
                dut.read.request.valid, dut.read.request.payload)
            ready, waited = waited == hold, (waited + 1) % (hold + 1) if valid else waited
            if valid and ready:
                requests.append((request.address, request.beats))
                result.setdefault("asked", []).append((request.address, len(taken)))

    async def serve(ctx):
        beat = dut.read.beat
        while True:
            await ctx.tick()
            if not requests:
                continue
            address, beats = requests.pop(0)
            for i in range(beats):
                at = address + i * CONFIG.bus_bytes
                ctx.set(beat.payload, int.from_bytes(memory[at:at + CONFIG.bus_bytes], "little"))
                ctx.set(beat.valid, 1)
                await ctx.tick().until(beat.ready)
                taken.append(at)
                ctx.set(beat.valid, 0)
                for _ in range(pause):
                    await ctx.tick()

    async def main(ctx):
        ctx.set(dut.address, address)
        ctx.set(dut.timestep, timestep)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for _ in range(600):
            await ctx.tick()
            if ctx.get(dut.done):
                break
        assert ctx.get(dut.done) and not requests
        await ctx.tick().repeat(pause + 2)
        assert not ctx.get(dut.read.beat.valid)
        result.update(fault=ctx.get(dut.fault), address=ctx.get(dut.fault_address))
        result["layer"] = {f.name: ctx.get(dut.layer[f.name]) for f in FIELDS}
        result["step"] = {f.name: ctx.get(dut.step[f.name]) for f in STEP_FIELDS}

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(main)
    simulator.add_testbench(listen, background=True)
    simulator.add_testbench(serve, background=True)
    simulator.run()
    return result


def word(name, fields=FIELD):
    return 4 * fields[name].word


@pytest.mark.parametrize("timestep", [0, 1, 2])
def test_every_field_and_the_entry_of_the_timestep(timestep):
    result = fetch(timestep=timestep)
    assert result["fault"] == Fault.NONE
    del result["layer"]["magic"]
    assert result["layer"] == GOOD
    assert result["step"] == step(timestep)


@pytest.mark.parametrize(("changes", "fault", "field"), [
    ({"magic": 1}, Fault.BAD_DESCRIPTOR, "magic"),
    ({"config_hash": CONFIG.hash ^ 1}, Fault.CONFIG_MISMATCH, "config_hash"),
    ({"order": 7, "height": 0}, Fault.BAD_DESCRIPTOR, "order"),
    ({"row_scale": 1, "kernel": 2}, Fault.BAD_DESCRIPTOR, "row_scale"),
    ({"height": 0, "output": 4}, Fault.BAD_DESCRIPTOR, "height"),
    ({"output": 1 << 32}, Fault.BAD_DESCRIPTOR, "output"),
    ({"weights": CONFIG.word_bytes // 2}, Fault.BAD_DESCRIPTOR, "weights"),
])
def test_the_first_bad_word_is_reported(changes, fault, field):
    result = fetch(changes)
    assert (result["fault"], result["address"]) == (fault, BASE + word(field))


def test_a_row_scale_without_residual():
    """GOOD has a residual of 1, which excludes it."""
    result = fetch({"row_scale": 1, "residual": 0})
    assert result["fault"] == Fault.NONE and result["layer"]["row_scale"] == 1


@pytest.mark.parametrize("pause", [0, 1, 5])
def test_the_entry_is_asked_for_while_the_descriptor_comes(pause):
    result = fetch(timestep=1, pause=pause)
    (first, before), (second, beats) = result["asked"]
    assert (first, before, second) == (BASE, 0, STEPS + STEP_BYTES)
    assert beats * CONFIG.bus_bytes < DESCRIPTOR_USED - 16
    assert result["fault"] == Fault.NONE and result["step"] == step(1)


@pytest.mark.parametrize("hold", [1, 5, 60])
def test_requests_that_wait(hold):
    """The entry's is still waiting when the descriptor is in, at 60 cycles."""
    result = fetch(timestep=2, hold=hold)
    assert [address for address, _ in result["asked"]] == [BASE, STEPS + 2 * STEP_BYTES]
    assert result["fault"] == Fault.NONE and result["step"] == step(2)


@pytest.mark.parametrize(("changes", "requests"), [
    ({"config_hash": 1}, 1), ({"steps": 4}, 1), ({"timesteps": 0}, 1), ({"height": 0}, 2)])
def test_no_entry_is_asked_for_where_none_can_be(changes, requests):
    """A bad word before `timesteps` spares the read; one after it comes too late for that."""
    result = fetch(changes)
    assert len(result["asked"]) == requests and result["fault"] != Fault.NONE


def test_a_bad_descriptor_comes_before_a_bad_entry():
    result = fetch({"output": 4}, steps={"load_multiplier": 0})
    assert result["address"] == BASE + word("output")


def test_a_bad_descriptor_comes_before_a_timestep_beyond_the_table():
    result = fetch({"output": 4}, timestep=3)
    assert (result["fault"], result["address"]) == (Fault.BAD_DESCRIPTOR, BASE + word("output"))


def test_a_timestep_beyond_the_table():
    result = fetch(timestep=3)
    assert (result["fault"], result["address"]) == (Fault.TIMESTEP, BASE + word("timesteps"))


@pytest.mark.parametrize(("field", "value"), [
    ("load_multiplier", 0), ("load_shift", 48), ("step_multiplier", 0), ("step_shift", 63),
    ("residual_shift", 31), ("low", 16), ("high", 16), ("bias", 8)])
def test_a_bad_step_entry(field, value):
    result = fetch(timestep=2, steps={field: value})
    assert result["fault"] == Fault.BAD_DESCRIPTOR
    assert result["address"] == STEPS + 2 * STEP_BYTES + word(field, STEP_FIELD)


@pytest.mark.parametrize("name", ["low", "high"])
@pytest.mark.parametrize(("passes", "most"), [(1, 15), (2, 119)])
def test_bounds_of_one_and_of_two_passes(name, passes, most):
    good = fetch({"act_nibbles": passes}, steps={name: most})
    assert good["fault"] == Fault.NONE and good["step"][name] == most
    bad = fetch({"act_nibbles": passes}, steps={name: most + 1})
    assert bad["fault"] == Fault.BAD_DESCRIPTOR
    assert bad["address"] == STEPS + word(name, STEP_FIELD)


@pytest.mark.parametrize("offset", [CONFIG.bus_bytes, 1 << 40])
def test_a_descriptor_where_none_can_be(offset):
    result = fetch(address=BASE + offset)
    assert (result["fault"], result["address"]) == (Fault.BAD_DESCRIPTOR, BASE + offset)
    assert DESCRIPTOR_BYTES % CONFIG.word_bytes == 0

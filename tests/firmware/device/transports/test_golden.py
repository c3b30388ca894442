"""The functional device refuses what spec says, field by field; tests/rtl/control/test_checks.py
says the same of the core, for the same values."""

import pytest

from hqdm.firmware.device.transports import golden
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.spec import PRESETS
from hqdm.spec.registers import ADDRESS, Control, Fault, Status
from tests.spec.descriptor_values import (
    good_descriptor,
    good_step,
    single_changes,
    single_step_changes,
)

CONFIG = PRESETS["n8"]
AT = 0x800
STEPS = good_descriptor(CONFIG).steps


class Accepted(Exception):
    """The device has checked every field."""


@pytest.fixture
def refusal(monkeypatch):
    """(fault, address) with which a device refuses a descriptor and a step entry, or None."""
    def accept(*args):
        raise Accepted

    monkeypatch.setattr(golden, "decode_layer", accept)
    device = GoldenTransport(CONFIG, 1 << 16)

    def run(descriptor, step):
        device.write_memory(STEPS, step.encode())
        device.write_memory(AT, descriptor.encode())
        device.write_register(ADDRESS["descriptor_low"], AT)
        try:
            device.write_register(ADDRESS["control"], 1 << Control.START)
        except Accepted:
            return None
        assert device.read_register(ADDRESS["status"]) == 1 << Status.FAULT
        return (Fault(device.read_register(ADDRESS["fault_code"])),
                device.read_register(ADDRESS["fault_address_low"]))

    return run


def expected(structure, descriptor, at):
    field = structure.first_illegal(CONFIG, descriptor)
    if field is None:
        return None
    mismatch = field.name == "config_hash"
    return Fault.CONFIG_MISMATCH if mismatch else Fault.BAD_DESCRIPTOR, at + 4 * field.word


def test_descriptors_with_one_field_changed(refusal):
    for descriptor in single_changes(CONFIG):
        wanted = expected(descriptor, descriptor, AT)
        if wanted is None and descriptor.steps != STEPS:
            wanted = refusal(descriptor, good_step())       # another step entry, or none
            assert wanted is None or wanted[1] >= descriptor.steps
        assert refusal(descriptor, good_step()) == wanted, descriptor


@pytest.mark.parametrize("passes", [1, 2])
def test_step_entries_with_one_field_changed(refusal, passes):
    descriptor = good_descriptor(CONFIG, act_nibbles=passes)
    for step in single_step_changes(CONFIG):
        assert refusal(descriptor, step) == expected(step, descriptor, STEPS), step

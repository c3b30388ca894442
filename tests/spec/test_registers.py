from hqdm.spec.registers import (
    ADDRESS,
    COUNTERS,
    IDENTITY,
    REGISTER_SPACE_BITS,
    REGISTERS,
    Control,
    Fault,
    Status,
)


def test_addresses_are_unique_aligned_and_inside():
    addresses = [r.address for r in REGISTERS]
    assert len(set(addresses)) == len(addresses)
    assert all(a % 4 == 0 and 0 <= a < 1 << REGISTER_SPACE_BITS for a in addresses)
    assert len(ADDRESS) == len(REGISTERS)


def test_every_counter_is_a_read_only_register():
    by_name = {r.name: r for r in REGISTERS}
    assert all(by_name[name].access == "ro" for name, _ in COUNTERS)


def test_64_bit_addresses_are_low_then_high():
    for name in ("fault_address", "descriptor"):
        assert ADDRESS[f"{name}_high"] == ADDRESS[f"{name}_low"] + 4


def test_identity_reads_as_the_letters():
    assert IDENTITY.to_bytes(4, "little") == b"HQDM" and IDENTITY == 0x4D445148


def test_codes_and_bits_are_distinct():
    for codes in (Control, Status, Fault):
        assert sorted(codes) == list(range(len(codes)))

import pytest

from hqdm.spec.fixed import (
    BITS,
    CARRIER,
    MAX_ORDER,
    QUANTISED_BITS,
    operand_magnitude,
    quantised_magnitude,
    required_operand_bits,
    split_nibbles,
    symmetric_max,
    weight_range,
)


@pytest.mark.parametrize(("bits", "largest", "weights"), [
    (2, 1, (-2, 1)), (3, 3, (-4, 3)), (4, 7, (-8, 7)), (8, 119, (-136, 119))])
def test_ranges(bits, largest, weights):
    assert symmetric_max(bits) == largest
    assert weight_range(bits) == weights


def test_nibbles_of_every_weight():
    """Signed, of an integer as of an array."""
    low, high = weight_range(8)
    for value in range(low, high + 1):
        lo, hi = split_nibbles(value)
        assert value == 16 * hi + lo and -8 <= lo <= 7 and -8 <= hi <= 7


@pytest.mark.parametrize("bits", [0, 1, 5, 6, 7, 16])
def test_other_widths_are_refused(bits):
    for function in (symmetric_max, weight_range):
        with pytest.raises(ValueError, match=rf"wanted one of \(2, 3, 4, 8\) bits, got {bits}"):
            function(bits)


def test_a_signed_format():
    assert (CARRIER.low, CARRIER.high) == (-32768, 32767)
    assert -32768 in CARRIER and 32768 not in CARRIER


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("order", range(MAX_ORDER + 1))
def test_every_operand_fits_ten_bits(bits, order):
    assert required_operand_bits(bits, order) <= 10
    if bits <= 4:
        assert operand_magnitude(bits, order) < 1 << (required_operand_bits(bits, order) - 1)


@pytest.mark.parametrize(("bits", "levels"), [(2, 3), (3, 7), (4, 15)])
def test_free_bounds_use_all_levels(bits, levels):
    assert quantised_magnitude(bits, True) == levels < 1 << (QUANTISED_BITS - 1)
    for order in range(MAX_ORDER + 1):
        assert operand_magnitude(bits, order, True) == levels << order
        assert levels << order < 1 << (required_operand_bits(bits, order, True) - 1)


def test_free_bounds_are_for_one_nibble():
    for function in (quantised_magnitude, lambda *a: operand_magnitude(8, 0, True)):
        with pytest.raises(ValueError, match="ranged: wanted 2, 3 or 4 bits, got 8"):
            function(8, True)


def test_the_numbers_of_the_contract():
    assert operand_magnitude(4, 5, True) == 480
    assert required_operand_bits(4, 5, True) == required_operand_bits(3, 6, True) == 10
    assert required_operand_bits(4, 6, True) == 11
    assert operand_magnitude(4, 5) == 224
    assert required_operand_bits(4, 5) == 9
    assert required_operand_bits(4, 6) == required_operand_bits(8, 6) == 10

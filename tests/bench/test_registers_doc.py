"""docs/registers.md is what spec says."""

from bench.registers_doc import PAGE, bits, page
from hqdm.spec.descriptor import FIELDS
from hqdm.spec.registers import REGISTERS, Fault


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/registers.md is out of date: run python -m bench.registers_doc")


def test_page_names_everything():
    text = page()
    for name in [r.name for r in REGISTERS] + [f.name for f in FIELDS]:
        assert f"| `{name}` |" in text
    for fault in Fault:
        assert f"| {fault.value} | {fault.name} |" in text


def test_page_says_which_values_are_legal():
    text = page()
    for row in ("| 0x14 | 3:1 | `order` | 0..6 |", "| 0x14 | 28 | `row_scale` | 0, or 1 with",
                "| 0x18 | 8 | `padding` | 0, 1 |",
                "| 0x68 | 63:0 | `output` | an aligned address |",
                "| 0x0C | 6:0 | `low` | 0..15, two passes 0..119 |"):
        assert row in text


def test_fields_are_listed_in_the_order_of_memory():
    text = page()
    assert text.index("`config_hash` | the core's") < text.index("`steps`") < text.index("`order`")


def test_bits_are_high_to_low():
    by_name = {f.name: f for f in FIELDS}
    assert bits(by_name["axis"]) == "0"
    assert bits(by_name["act_nibbles"]) == "5:4"
    assert bits(by_name["output"]) == "63:0"

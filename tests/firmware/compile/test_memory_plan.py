"""The memory plan: space is shared by lifetime, and overlaps are found."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hqdm.firmware.compile.memory_plan import MemoryPlan, Region, place
from hqdm.firmware.compile.network import compile_network
from hqdm.spec import config_by_name


@st.composite
def regions(draw):
    found = []
    for i in range(draw(st.integers(1, 30))):
        first = draw(st.one_of(st.none(), st.integers(0, 20)))
        last = None if first is None else first + draw(st.integers(0, 5))
        found.append(Region(name=f"r{i}", size=draw(st.integers(1, 300)),
                            alignment=1 << draw(st.integers(0, 8)), first=first, last=last))
    return found


def brute_force_overlaps(plan):
    spans = [(r, a, a + r.size) for r, a in zip(plan.regions, plan.addresses, strict=True)]
    return [(a[0].name, b[0].name) for i, a in enumerate(spans) for b in spans[:i]
            if a[1] < b[2] and b[1] < a[2] and a[0].lives_with(b[0])]


@settings(max_examples=150, deadline=None)
@given(regions())
def test_nothing_that_lives_together_overlaps(found):
    plan = place(found, 1 << 20, "random")
    assert not brute_force_overlaps(plan)
    assert all(a % r.alignment == 0 for r, a in zip(plan.regions, plan.addresses, strict=True))
    live = max(sum(r.size for r in found if not r.constant and r.first <= t <= r.last)
               for t in range(26))
    assert live <= plan.activation_bytes
    assert plan.constant_bytes >= sum(r.size for r in found if r.constant)


def test_space_is_shared():
    chain = [Region(name=f"r{i}", size=64, alignment=8, first=i, last=i + 1) for i in range(10)]
    plan = place(chain, 1 << 20, "chain")
    assert plan.total_bytes == 128 and plan.unshared_bytes == 640


def test_the_smallest_gap_is_taken():
    plan = place([
        Region(name="a", size=100, alignment=1, first=0, last=5),
        Region(name="b", size=90, alignment=1, first=0, last=1),
        Region(name="c", size=80, alignment=1, first=0, last=5),
        Region(name="d", size=10, alignment=1, first=3, last=4)], 1 << 20, "gaps")
    assert plan.table() == {"a": 0, "b": 100, "c": 190, "d": 100}


def test_the_plan_of_a_network(compiled):
    plan = compiled.memory
    assert not brute_force_overlaps(plan)
    assert plan.activation_bytes < plan.unshared_bytes / 4
    assert plan.total_bytes == plan.constant_bytes + plan.activation_bytes
    for address, image in compiled.pieces:
        assert address + len(image) <= plan.constant_bytes


def test_a_moved_tensor_is_found(compiled):
    """A plan in which one tensor is put where another lives is refused by both names."""
    plan, node = compiled.memory, compiled.nodes[2].node    # reads one, adds another
    names = [f"tensor {name}" for name in (node.sources[0], node.second)]
    table = plan.table()
    moved = table | {names[0]: table[names[1]]}
    with pytest.raises(ValueError, match=r"memory plan: tensor .* overlap") as caught:
        replace(plan, addresses=tuple(moved[r.name] for r in plan.regions))
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize(("addresses", "text"), [
    ((0, 4), r"a \(16 bytes at 0x0\) and b \(8 bytes at 0x4\) overlap"),
    ((1, 32), r"a: wanted an address aligned to 16, got 0x1"),
    ((0, 60), r"b: wanted an end within 64 bytes, got 8 bytes at 0x3c"),
    ((-16, 32), r"a: wanted an address aligned to 16, got -0x10"),
])
def test_bad_plans(addresses, text):
    parts = (Region(name="a", size=16, alignment=16),
             Region(name="b", size=8, alignment=4, first=0, last=0))
    with pytest.raises(ValueError, match=text):
        MemoryPlan(regions=parts, addresses=addresses, memory_bytes=64)


@pytest.mark.parametrize(("fields", "text"), [
    ({"size": 0}, "r: wanted at least 1 byte, got 0"),
    ({"first": 1}, r"r: wanted a lifetime, got 1\.\.None"),
    ({"first": 2, "last": 1}, r"r: wanted a lifetime, got 2\.\.1"),
])
def test_bad_regions(fields, text):
    with pytest.raises(ValueError, match=text):
        Region(**{"name": "r", "size": 1, "alignment": 1} | fields)


def test_a_network_that_does_not_fit_the_memory(tiny):
    config = replace(config_by_name("n4"), address_bits=16)
    with pytest.raises(ValueError, match=r"on n4: wanted \d+ bytes of memory \(\d+ of constants, "
                                         r"\d+ of activations\), the device has 65536"):
        compile_network(tiny, config)


def test_a_layer_that_does_not_fit_the_buffers(tiny):
    config = replace(config_by_name("n4"), name="small", buffer_words=64)
    with pytest.raises(ValueError, match=r"conv_in: does not fit small: the smallest tile needs "
                                         r".*it fits n4, n8, n16"):
        compile_network(tiny, config)

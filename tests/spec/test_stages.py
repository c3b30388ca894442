"""The records of the stages, and that nobody forgot one of them."""

import pytest

from hqdm.golden.load import operands, prepare
from hqdm.golden.store import outputs
from hqdm.rtl.store.requantise import UNITS
from hqdm.spec import Load, LoadStages, Store, StoreStages, Table
from hqdm.spec.descriptor import FIELDS, STEP_FIELDS
from hqdm.spec.stages import (
    LOAD,
    STORE,
    STORE_LATENCY,
    asked,
    by_name,
    in_core,
    load_latency,
    store_start,
)

TABLE = Table(function="silu", in_exponent=11, out_exponent=11)


def names(stages):
    return [stage.name for stage in stages]


def test_every_stage_has_a_golden_function_and_a_unit_if_the_core_has_it():
    assert sorted([*prepare.APPLY, *operands.APPLY]) == sorted(names(LOAD))
    assert sorted(outputs.APPLY) == sorted(names(STORE))
    assert sorted(UNITS) == sorted(names(in_core(STORE)))


def test_names_are_different():
    for stages in (LOAD, STORE):
        assert len({stage.key for stage in stages}) == len(stages)


def test_fields_are_the_descriptors_and_belong_to_one_stage():
    for own, fields in (("fields", FIELDS), ("step_fields", STEP_FIELDS)):
        found = [name for stage in LOAD + STORE for name in getattr(stage, own)]
        assert len(set(found)) == len(found)
        assert set(found) <= {field.name for field in fields}
    assert {f.name for f in STEP_FIELDS} == {n for s in LOAD + STORE for n in s.step_fields}


@pytest.mark.parametrize(("stages", "wanted"), [
    (LoadStages(), []),
    (LoadStages(row="softmax", table=TABLE), ["row affine", "table"]),
    (LoadStages(channel="static"), ["channel affine"]),
])
def test_what_a_load_asks_for(stages, wanted):
    assert names(asked(LOAD, stages)) == list(stages.names) == wanted
    load = Load(channels=(4,), height=2, width=2, stages=stages)
    assert names(asked(LOAD, load)) == wanted


@pytest.mark.parametrize(("store", "wanted", "second"), [
    (Store(), [], None),
    (Store(residual="subtract"), ["second"], "second"),
    (Store(stages=StoreStages(row_scale=True)), ["row scale"], "row scale"),
    (Store(residual="add", stages=StoreStages(gate=TABLE, statistics=("maximum", "channel"))),
     ["gate", "second", "channel statistics", "maximum statistics"], "second"),
])
def test_what_a_store_asks_for(store, wanted, second):
    assert names(asked(STORE, store)) == wanted
    assert (store.second and store.second.name) == second


def test_two_stages_cannot_share_the_second_operand():
    with pytest.raises(ValueError, match="residual: wanted 'none' beside a row scale, got 'add'"):
        Store(residual="add", stages=StoreStages(row_scale=True))


def test_statistics_a_load_needs():
    assert LoadStages().needs == LoadStages(channel="static").needs == ()
    assert LoadStages(row="softmax").needs == ("maximum",)
    assert LoadStages(row="layer_norm", channel="group_norm", groups=2).needs == ("channel", "row")


def test_starts_of_the_store():
    assert [store_start(name) for name in names(in_core(STORE))] == [0, 5, 9, 14, 15]
    assert STORE_LATENCY == 16
    with pytest.raises(ValueError, match=r"wanted one of channel, row scale, timestep, bias, "
                                         r"class bias, gate, second, .*, got 'x'"):
        store_start("x")


def test_latency_of_the_load():
    assert load_latency(8, 0, 0) == 2 * 11 + 6
    assert load_latency(8, 1, 5) == 2 * (11 + 2 + 4 + 8 + 16 + 32) + 6
    with pytest.raises(ValueError, match="table: wanted a stage that the core has"):
        by_name(LOAD, "table").advances(8, 0, 0)

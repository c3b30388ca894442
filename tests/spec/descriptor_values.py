"""Good structures, and the values of a field at and around the ends of what is legal."""

from dataclasses import replace

from hqdm.spec.config import Config
from hqdm.spec.descriptor import FIELDS, STEP_FIELDS, Descriptor, StepEntry
from hqdm.spec.field import Field

SMALL = 8       # bits up to which every value is tried


def good_descriptor(config: Config, **changes: int) -> Descriptor:
    """A descriptor without an illegal field, unless `changes` has one."""
    values = {f.name: 1 for f in FIELDS if f.name != "magic"} | {
        "config_hash": config.hash, "weight_bits": 4, "residual": 0, "row_scale": 0,
    } | {f.name: 0x1000 for f in FIELDS if f.bits == 64}
    return Descriptor(**values | changes)


def good_step(**changes: int) -> StepEntry:
    """A step entry without an illegal field, unless `changes` has one."""
    values = {f.name: 1 for f in STEP_FIELDS} | {"bias": 0x1000}
    return StepEntry(**values | changes)


def values_of(field: Field, config: Config) -> list[int]:
    """All values of a small field; of a large one the ends, and those beside what could be one."""
    if field.bits <= SMALL:
        return list(range(field.most + 1))
    word, beyond = config.word_bytes, 1 << config.address_bits
    edges = {0, field.most, word, word // 2, beyond, beyond - word, beyond >> 1, config.hash,
             getattr(good_descriptor(config), field.name, 0)}
    near = {edge + step for edge in edges for step in (-1, 0, 1)}
    bits = {1 << bit for bit in range(field.bits)}
    return sorted(value for value in near | bits if 0 <= value <= field.most)


def single_changes(config: Config) -> list[Descriptor]:
    """The good descriptor with one field changed, to every value of `values_of`.

    Once without and once with a residual, which excludes a row scale.
    """
    return [replace(good_descriptor(config, residual=residual), **{f.name: value})
            for residual in (0, 1) for f in FIELDS for value in values_of(f, config)]


def single_step_changes(config: Config) -> list[StepEntry]:
    """The good step entry with one field changed, to every value of `values_of`."""
    return [replace(good_step(), **{f.name: value})
            for f in STEP_FIELDS for value in values_of(f, config)]

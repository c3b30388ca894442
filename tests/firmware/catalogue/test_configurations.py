"""63 configurations of the world in one table: counted as torch counts them, or refused in a line.

`configurations.json` has a line for each: `config`, on top of that of `base` if there is one;
`size` and `tokens` as the options of `hqdm cycles`; then the tokens attended to, products (folded
ones included) and parameters, or what the refusal says. Facts of public models are from their
configuration files.
"""

import json
from pathlib import Path

import pytest

from hqdm.firmware.catalogue.fields import EMA
from hqdm.firmware.catalogue.library import read_model, with_tokens
from hqdm.firmware.catalogue.shapes import lower_shapes
from tests.firmware.catalogue.counting import count

TABLE = json.loads((Path(__file__).parent / "configurations.json").read_text())
REFUSED = [n for n, entry in TABLE.items() if "refused" in entry]
QUICK = ["ddpm-cifar10-32", "eight-heads-96", "small-padding-0", "small-only-context",
         "small-only-token", "small-class-timestep", "small-simple", "small-no-context"]
OTHERS = [n for n in TABLE if n not in (*QUICK, *REFUSED)]


def fields(name):
    """The configuration called `name`."""
    entry = TABLE[name]
    return (fields(entry["base"]) if "base" in entry else {}) | entry["config"]


def lowered(name, folder):
    """(its tokens, its layers) of the file of a configuration."""
    entry, path = TABLE[name], folder / f"{name}.json"
    path.write_text(json.dumps(fields(name)))
    config = with_tokens(read_model(str(path)), entry.get("tokens"))
    return config.tokens, lower_shapes(config, tuple(entry["size"]) if "size" in entry else None)


def check(name, folder):
    """Products and parameters are those of the table, and those of torch's own count."""
    entry, plain = TABLE[name], fields(name)
    tokens, found = lowered(name, folder)
    got = found.network.macs + sum(f.macs for f in found.folded), found.parameters
    assert (tokens, *got) == (entry["attended"], entry["products"], entry["parameters"])
    size = entry.get("size", plain["sample_size"])
    size = (size, size) if isinstance(size, int) else tuple(size)
    assert got == count({n: v for n, v in plain.items() if n not in EMA}, size, tokens)


def test_the_table_is_long_enough():
    assert len(TABLE) >= 60 and len(REFUSED) >= 15


@pytest.mark.parametrize("name", QUICK)
def test_counts(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_counts_of_the_others(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, tmp_path):
    with pytest.raises(ValueError) as error:
        lowered(name, tmp_path)
    assert TABLE[name]["refused"] in str(error.value) and "\n" not in str(error.value)


def test_the_numbers_of_the_small_cases():
    """What a report of them named: a wrong table would agree with a wrong count."""
    known = {"ddpm-cifar10-32": (6_221_856_768, 35_746_307), "sd15": (401_636_720_640, None),
             "ddpm-church-256": (248_513_757_184, 113_673_219), "sdxl": (3_380_618_199_040, None),
             "eight-heads-96": (48_350_396_416, None), "ldm4-imagenet": (None, 400_920_579)}
    for name, numbers in known.items():
        entry = TABLE[name]["products"], TABLE[name]["parameters"]
        assert all(k in (None, e) for k, e in zip(numbers, entry, strict=True)), name

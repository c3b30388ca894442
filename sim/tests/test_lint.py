"""The generated Verilog lints clean but for the named waivers."""

import pytest

from hqdm.rtl.generate import generate_cached, top_name
from hqdm.sim.verilator import lint
from hqdm.spec.config import PRESETS


@pytest.mark.parametrize("name", ["n4", "n16"])
def test_core_lints_clean(name, tmp_path):
    lint(generate_cached(PRESETS[name]), top_name(PRESETS[name]), tmp_path)


def test_lint_finds_something(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)lint failed.*UNDRIVEN"):
        lint("module bad(input a, output b); wire c; endmodule", "bad", tmp_path)


def test_two_cores_in_one_design(tmp_path):
    """No module of one has the name of a module of the other."""
    both = [PRESETS[name] for name in ("n4", "n8")]
    lint("".join(map(generate_cached, both)), top_name(both[0]), tmp_path)

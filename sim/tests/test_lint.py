"""The generated Verilog lints clean but for the named waivers."""

import pytest

from hqdm.rtl.generate import TOP, generate_cached
from hqdm.sim.verilator import lint
from hqdm.spec.config import PRESETS


@pytest.mark.parametrize("name", ["n4", "n16"])
def test_core_lints_clean(name, tmp_path):
    lint(generate_cached(PRESETS[name]), TOP, tmp_path)


def test_lint_finds_something(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)lint failed.*UNDRIVEN"):
        lint("module bad(input a, output b); wire c; endmodule", "bad", tmp_path)

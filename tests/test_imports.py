"""The contracts of imports in pyproject.toml: green as it stands, red for an import upwards."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "hqdm"
# What is added to a file, and what lint-imports says then.
WRONG = [
    ("kit/check.py", "import hqdm.golden.layer", "hqdm.kit is not allowed to import hqdm.golden"),
    ("rtl/core.py", "import hqdm.learn.qat", "hqdm.rtl is not allowed to import hqdm.learn"),
    ("cycles/port.py", "from hqdm.sim import runner",
     "hqdm.cycles is not allowed to import hqdm.sim"),
    ("golden/load/affine.py", "from hqdm.golden.store import bias",
     "hqdm.golden.load is not allowed to import hqdm.golden.store"),
    ("firmware/device/modes.py", "import hqdm.firmware.catalogue.library",
     "hqdm.firmware.device is not allowed to import hqdm.firmware.catalogue"),
    ("spec/fixed.py", "import numpy", "hqdm.spec is not allowed to import numpy"),
    ("rtl/counting.py", "def f():\n    import torch",
     "hqdm.rtl is not allowed to import torch"),
    ("new/__init__.py", "", "hqdm.new"),
]


def lint(folder):
    """Status and text of lint-imports for the package in `folder`/src."""
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"], cwd=folder,
        text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(folder / "src")})
    return result.returncode, result.stdout


def test_every_module_is_seen():
    files = {p.relative_to(SOURCES.parent) for folder in SOURCES.iterdir()
             for p in (folder.rglob("*.py") if folder.is_dir() else [folder])}
    names = {".".join(p.with_suffix("").parts).removesuffix(".__init__") for p in files
             if p.suffix == ".py" and p.parts[1:3] != ("sim", "tests")}
    assert grimp.build_graph("hqdm", cache_dir=None).modules == names and len(names) > 200


def test_as_it_stands():
    status, text = lint(ROOT)
    assert status == 0 and "0 broken" in text, text


def test_wrong_imports(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "hqdm"
    shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns(
        "__pycache__", "models", "tests", "*.json", "*.cpp", "*.hpp"))
    for file, line, _ in WRONG:
        (package / file).parent.mkdir(exist_ok=True)
        with (package / file).open("a") as source:
            source.write(f"\n{line}\n")
    status, text = lint(tmp_path)
    assert status == 1
    assert [said for *_, said in WRONG if said not in text] == []

"""The comparison with the first version: both are built and run on their own sources."""

import subprocess

import pytest

from bench.first_version import LABELS, compare, ratio, table
from hqdm.kit.cache import ROOT

history = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no history")

FOUND = {
    "first version": {"verilog_mb": 2.84, "generation_s": 17.2, "build_s": 37.4, "mismatches": 0,
                      "cycles": 10, "cycles_per_second": 100_000.0},
    "this version": {"verilog_mb": 2.4, "generation_s": 20.0, "build_s": 27.0, "mismatches": 0,
                     "cycles": 12, "cycles_per_second": 230_000.0},
}


def test_table():
    assert table(FOUND, "n32").splitlines() == [
        "| n32 | Verilog | generation | build | mismatches | simulated cycles/s |",
        "|---|--:|--:|--:|--:|--:|",
        "| first version | 2.84 MB | 17 s | 37 s | 0 | 100,000 |",
        "| this version | 2.40 MB | 20 s | 27 s | 0 | 230,000 |",
        "", "2.30 times the cycles per second"]
    assert ratio(FOUND) == 2.3


@history
def test_each_runs_on_its_own_sources(tmp_path, monkeypatch):
    seen = []

    def python(code, config, folder, cache):
        seen.append((folder, config, cache))
        return {"cycles_per_second": float(len(seen)), "mismatches": 0, "cycles": 1,
                "verilog_mb": 1.0, "generation_s": 1.0, "build_s": 1.0}

    monkeypatch.setattr("bench.first_version.python", python)
    found = compare("n4", "HEAD", tmp_path)
    assert list(found) == list(LABELS)
    assert {folder.name for folder, _, _ in seen[::2]} == {"first"}
    assert (tmp_path / "first" / "rtl" / "core.py").exists()
    # five turns after two builds, in turns: 3, 5, 7, 9, 11 and 4, 6, 8, 10, 12
    assert [found[label]["cycles_per_second"] for label in LABELS] == [7.0, 8.0]


@history
def test_unknown_commit(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        compare("n4", "no-such-commit", tmp_path)

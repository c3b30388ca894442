"""The build cache: finished builds only, once."""

import pytest

from hqdm.kit.cache import build_once, cache_root, content_hash, files_hash


def test_root(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "hqdm" and cache_root(tmp_path / "x") == tmp_path / "x"


def test_hashes(tmp_path):
    assert content_hash("ab", "c") != content_hash("a", "bc") and len(content_hash()) == 16
    assert content_hash("a") == content_hash(b"a")
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_text(path.name)
    assert files_hash(paths) == files_hash(reversed(paths)) == content_hash("a", b"a", "b", b"b")


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(directory):
        (directory / "half").write_text("done")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        build_once("thing", fail, tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
    made = build_once("thing", lambda d: (d / "all").write_text("done"), tmp_path)
    assert build_once("thing", fail, tmp_path) == made


def test_leftovers_of_a_killed_build_go(tmp_path):
    for name in ("thing.killed", "thing2.other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    build_once("thing", lambda d: None, tmp_path)
    assert not (tmp_path / "thing.killed").exists()
    assert (tmp_path / "thing2.other").exists()

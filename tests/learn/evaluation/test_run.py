"""The whole evaluation on tiny data: numbers, resuming, bad input."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from hqdm.learn.evaluation.images import CHUNK
from hqdm.learn.evaluation.report import COLUMNS, caption, markdown, table
from hqdm.learn.evaluation.run import Plan, evaluate


@pytest.fixture
def plan(files, quantised, tmp_path):
    return Plan(models=[files.unet, quantised.file, quantised.integers], decoder=files.decoder,
                out=tmp_path / "out", n=12, seed=3, steps=5, real=30, calls=2, columns=4)


def quiet(stage, done, of):
    pass


def test_evaluate(plan, images, extractor, tmp_path):
    result = evaluate(plan, *images, extractor, quiet, tmp_path)
    assert json.loads(json.dumps(result)) == result
    assert list(result["models"]) == ["unet", "w8a8", "w8a8.integers"]
    assert result["floor"]["n"] == 12 and result["floor"]["n_real"] == 30
    for row in result["models"].values():
        assert row["n"] == 12 and row["fd"] > result["floor"]["fd"] and 0 <= row["recall"] <= 1
    assert "psnr" not in result["models"]["unet"]
    assert result["models"]["w8a8.integers"]["psnr"] > 15
    with Image.open(plan.out / "grid.png") as grid:
        assert grid.size == (4 * 66 + 2, 3 * 66 + 2)
    rows = table(result)
    assert [r[0] for r in rows] == ["test images (floor)", *result["models"]]
    assert all(len(r) == len(COLUMNS) and r[1] == "12" for r in rows)
    assert "features of means, against 30 training images; seed 3" in caption(result)
    assert markdown(COLUMNS, rows).count("\n") == 2 + len(rows)


def test_the_reference_twice(plan, files, images, extractor, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(files.unet.read_bytes())
    result = evaluate(replace(plan, models=[files.unet, copy]), *images, extractor, quiet, tmp_path)
    row = result["models"]["copy"]
    assert row["psnr"] is None and row["cosine"] == pytest.approx(1)
    assert "same" in table(result)[-1]
    assert row["fd"] == result["models"]["unet"]["fd"]


def test_what_is_there_is_used_again(plan, files, images, extractor, tmp_path, monkeypatch):
    monkeypatch.setattr("hqdm.learn.evaluation.images.CHUNK", 5)
    plan = replace(plan, models=[files.unet], batch=5)
    stopped = []

    def stop(stage, done, of):
        stopped.append((stage, done))
        if stage == "unet images" and done == 10:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        evaluate(plan, *images, extractor, stop, tmp_path)
    again = []
    first = evaluate(plan, *images, extractor, lambda *a: again.append(a[:2]), tmp_path)
    assert ("unet images", 10) in again and ("unet images", 5) not in again
    seen = extractor.seen
    second = evaluate(plan, *images, extractor, quiet, tmp_path)
    assert extractor.seen == seen
    assert first | {"seconds": 0} == second | {"seconds": 0} or (
        first["models"]["unet"]["fd"] == second["models"]["unet"]["fd"])
    larger = evaluate(replace(plan, n=14), *images, extractor, quiet, tmp_path)
    assert larger["models"]["unet"]["n"] == 14
    fresh = evaluate(replace(plan, n=14, out=tmp_path / "fresh"), *images, extractor, quiet,
                     tmp_path)
    assert fresh["models"]["unet"]["fd"] == pytest.approx(larger["models"]["unet"]["fd"], rel=1e-4)


def test_bad_input(plan, files, images, extractor, tmp_path):
    assert CHUNK == 50
    for change, text in [
            ({"n": 5}, "-n: wanted at least 6, got 5"), ({"models": []}, "at least one"),
            ({"seed": -1}, "--seed: wanted at least 0, got -1")]:
        with pytest.raises(ValueError, match=text):
            replace(plan, **change)
    with pytest.raises(ValueError, match="wanted different files"):
        evaluate(replace(plan, models=[files.unet] * 2), *images, extractor, quiet, tmp_path)
    with pytest.raises(ValueError, match="quantised for 5 steps, got --steps 10"):
        evaluate(replace(plan, steps=10), *images, extractor, quiet, tmp_path)


def test_a_damaged_file_is_named(plan, files, images, extractor, tmp_path):
    plan = replace(plan, models=[files.unet])
    evaluate(plan, *images, extractor, quiet, tmp_path)
    path = next((plan.out / "images").glob("unet-features-*/000000.safetensors"))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"000000.safetensors: .* truncated or damaged"):
        evaluate(plan, *images, extractor, quiet, tmp_path)


def test_a_damaged_file_of_the_cache_is_made_again(plan, files, images, extractor, tmp_path):
    plan = replace(plan, models=[files.unet])
    first = evaluate(plan, *images, extractor, quiet, tmp_path)
    path = next((tmp_path / "features").glob("train-*/000000.safetensors"))
    whole = path.read_bytes()
    for damaged in (whole[:-3], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        again = evaluate(plan, *images, extractor, quiet, tmp_path)
        assert path.read_bytes() == whole and again["floor"] == first["floor"]

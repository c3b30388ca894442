"""`hqdm cycles`: sums that add up, the three named models, reports, bad input."""

import json
import re
import subprocess
import sys

import pytest

from hqdm.spec import PRESETS
from tests.commands import command

run = command("cycles")

SIZES = {"ldm4-imagenet": (101_132_795_904, 104_227_160_064),
         "ldm4-bedrooms": (101_187_387_392, 101_200_031_744),
         "ldm8-churches": (20_895_129_600, 20_923_588_608)}


def ask(capsys, *arguments):
    """The JSON of a good question."""
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0 and not err
    return json.loads(out)


def check_sums(answer):
    """Totals are those of the layers; busy cycles and stalls make up the cycles."""
    layers = answer["layers"]
    for key in ("macs", "cycles"):
        assert answer[key] == sum(row[key] for row in layers)
    for key in ("stalls", "dram_bytes"):
        assert answer[key] == {k: sum(r[key][k] for r in layers) for k in answer[key]}
    assert answer["busy_cycles"] + sum(answer["stalls"].values()) == answer["cycles"]
    assert sum(answer["bound_cycles"].values()) == answer["cycles"]
    n = PRESETS[answer["config"]].n
    assert answer["ideal_cycles"] == answer["macs"] / n ** 2
    assert answer["utilization"] == answer["ideal_cycles"] / answer["cycles"]
    for row in layers:
        assert row["ideal_cycles"] == row["macs"] / n ** 2 and 0 < row["utilization"] <= 1


def test_the_default_question(capsys):
    answer = ask(capsys)
    assert (answer["model"], answer["config"], answer["batch"]) == ("cifar10", "n16", 1)
    check_sums(answer)
    assert answer["macs"] == 187_105_280 and len(answer["layers"]) == 105
    assert answer["calls_per_image"] == 40
    assert answer["seconds_per_step"] == pytest.approx(answer["cycles"] / 100e6)
    assert answer["seconds_per_image"] == pytest.approx(40 * answer["seconds_per_step"])
    assert {h["stage"] for h in answer["host_work"]} >= {"table", "gate", "channel statistics"}


@pytest.mark.parametrize("model", SIZES)
def test_named_models_on_n32(capsys, model):
    answer = ask(capsys, "--model", model, "--config", "n32")
    check_sums(answer)
    folded = sum(f["macs"] for f in answer["folded"])
    assert (answer["macs"], answer["macs"] + folded) == SIZES[model]
    assert answer["busy_cycles"] > 0.8 * answer["cycles"]
    stages = {h["stage"] for h in answer["host_work"]}
    assert ({"average pooling", "upsampling of a shortcut"} <= stages) == (model == "ldm8-churches")


def test_both_halves_share_the_weights(capsys):
    one, two = (ask(capsys, "--model", "ldm8-churches", "--config", "n32", "--batch", b)
                for b in "12")
    check_sums(two)
    assert two["macs"] == 2 * one["macs"] and two["dram_bytes"]["weight"] < (
        2 * one["dram_bytes"]["weight"])
    sharing = two["weight_sharing"]
    assert sharing["cycles_one_by_one"] == 2 * one["cycles"] > two["cycles"]
    assert sharing["gain"] == 2 * one["cycles"] / two["cycles"]
    assert two["seconds_per_image"] < one["seconds_per_image"]
    assert [h["elements"] for h in two["host_work"]] == [
        2 * h["elements"] for h in one["host_work"]]
    assert "weight_sharing" not in one


def test_sharing_never_costs(capsys):
    """Where the rows between stacked images cost more than they save, images run in turn."""
    answer = ask(capsys, "--model", "ldm4-imagenet", "--config", "n32", "--batch", "2")
    check_sums(answer)
    assert answer["weight_sharing"]["gain"] > 1
    runs = {row["name"]: row["runs"] for row in answer["layers"]}
    assert set(runs.values()) == {1, 2}
    assert all(n == 2 for name, n in runs.items() if name.endswith((".scores", ".mix")))
    slow = ask(capsys, "--model", "ldm4-imagenet", "--config", "n32", "--batch", "2",
               "--bandwidth", "12.8")
    assert slow["weight_sharing"]["gain"] > 1.03
    status, _, err = run(capsys, "--batch", "300")
    assert status == 0 and not err


def test_options_change_the_answer(capsys):
    plain = ask(capsys, "--config", "n8")["cycles"]
    slower = (["--memory-latency", "400"], ["--bandwidth", "4"], ["--activations", "8"],
              ["--tokens", "9"], ["--weights", "8"])
    for options in slower:
        answer = ask(capsys, "--config", "n8", *options)
        check_sums(answer)
        assert answer["cycles"] > plain
    answer = ask(capsys, "--config", "n8", "--clock", "250", "--steps", "50", "--rotate", "none")
    assert answer["seconds_per_step"] == pytest.approx(answer["cycles"] / 250e6)
    assert answer["calls_per_image"] == 100
    assert ask(capsys, "--bandwidth", "64/5")["memory"] == {"latency": 40, "bandwidth": 12.8}


SMALL = {"_class_name": "UNet2DConditionModel", "sample_size": 8, "block_out_channels": [8],
         "layers_per_block": 1, "down_block_types": ["CrossAttnDownBlock2D"],
         "up_block_types": ["CrossAttnUpBlock2D"], "norm_num_groups": 4, "attention_head_dim": 1}


@pytest.mark.parametrize(("width", "options", "tokens", "text"), [
    (768, [], 77, "77 tokens of text assumed, --tokens says otherwise"),
    (768, ["--tokens", "5"], 5, ""),
    (16, [], 1, "1 token of context assumed, to which cross-attention is a constant, --tokens"),
    (16, ["--tokens", "1"], 1, "")])
def test_the_tokens_are_said(capsys, write, width, options, tokens, text):
    """On the first line and in the JSON, unless the question or the model says them."""
    model = ["--model", write(SMALL | {"cross_attention_dim": width}), "--config", "n4", *options]
    answer = ask(capsys, *model)
    assert answer["tokens"] == tokens and answer["assumed"].startswith(text)
    assert bool(answer["assumed"]) == bool(text)
    status, out, _ = run(capsys, *model)
    assert status == 0 and (text in out.split("\n")[0]) and ("assumed" in out) == bool(text)
    assert ask(capsys, "--config", "n4")["assumed"] == ""


def test_more_rows_than_the_core_counts(capsys, write):
    """256 x 256 pixels are 65,536 rows of a linear layer, and as many scores of a head."""
    answer = ask(capsys, "--model", write(SMALL | {"cross_attention_dim": 768, "sample_size": 256,
        "mid_block_type": None, "only_cross_attention": True, "up_block_types": ["UpBlock2D"]}),
        "--config", "n16", "--batch", "2")
    check_sums(answer)
    queries = next(r for r in answer["layers"] if r["name"].endswith("attn1.to_q"))
    assert queries["macs"] == 2 * 65_536 * 8 * 8


def test_a_folder_is_a_model(capsys, tmp_path):
    """That of a pipeline has a UNet in it."""
    (tmp_path / "mine" / "unet").mkdir(parents=True)
    (tmp_path / "mine" / "unet" / "config.json").write_text(
        json.dumps(SMALL | {"cross_attention_dim": 16}))
    answer = ask(capsys, "--model", str(tmp_path / "mine"), "--config", "n4")
    assert answer["model"] == "mine"


def test_the_table(capsys):
    status, out, err = run(capsys, "--config", "n8", "--batch", "2")
    assert status == 0 and not err
    for text in ("cifar10 on n8: ", "cycles per denoising step",
                 "2 images, sharing weights where that helps", "one by one", "layers by kind",
                 "3x3 upsampling", "layers that lose most", "cross-attention to one token",
                 "still on the host", "channel affine"):
        assert text in out
    assert max(map(len, out.split("\nArray use")[0].splitlines()[5:])) <= 80
    status, out, _ = run(capsys, "--layers")
    assert status == 0 and "up 2 res 1.conv2" in out and "conv_out" in out


def test_help_says_what_a_step_is(capsys):
    status, out, _ = run(capsys, "--help")
    text = " ".join(re.sub(r"[^\w .:,-]", " ", out).split())
    assert status == 0 and "one call of the network for --batch images" in text


def test_reports(capsys, tmp_path):
    """One page, nothing fetched, every layer named; pictures of the right kind."""
    page, picture, timeline = (tmp_path / n for n in ("r.html", "r.png", "t.json"))
    status, out, err = run(capsys, "--config", "n8", "-o", str(page), "--trace", str(timeline))
    assert status == 0 and not err
    assert f"wrote {page}" in out and f"wrote {timeline}" in out
    text = page.read_text()
    assert text.startswith("<!doctype html>") and "<svg" in text and "up_blocks.2.resnets.1" in text
    assert not re.search(r'(?:src|href)="(?!#)', text) and "url(http" not in text
    assert "cross-attention to one token" in text and "channel statistics" in text
    assert run(capsys, "-o", str(picture))[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html", "r.png", "t.json"]


def test_a_named_model_wants_neither_torch_nor_numpy():
    """`hqdm cycles --model NAME` runs where neither torch, numpy nor diffusers is installed."""
    code = ("import sys; from hqdm.cli.main import main; "
            "status = main(['cycles', '--model', 'cifar10', '--json']); "
            "heavy = {'torch', 'numpy', 'diffusers', 'matplotlib', 'amaranth'} & set(sys.modules); "
            "sys.exit(f'{status}: {heavy}' if status or heavy else 0)")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["model"] == "cifar10"


def test_a_report_without_matplotlib(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    status, out, err = run(capsys, "-o", str(tmp_path / "r.html"))
    assert (status, out) == (2, "") and not list(tmp_path.iterdir())
    assert err == ["error: hqdm cycles needs matplotlib: pip install 'hqdm[plots]'"]


@pytest.mark.parametrize(("arguments", "text"), [
    (["--model", "ldm5"], "model: wanted one of cifar10, ldm4-bedrooms, ldm4-imagenet"),
    (["--config", "n5"], "configuration: wanted one of n4, n8, n16, n32, n64 or a JSON file"),
    (["--batch", "0"], "batch: wanted at least 1 image, got 0"),
    (["--memory-latency", "0"], "memory latency: wanted at least 1 cycle, got 0"),
    (["--bandwidth", "fast"], "--bandwidth: wanted bytes per cycle, got 'fast'"),
    (["--bandwidth", "0"], "memory bandwidth: wanted more than 0 bytes per cycle, got 0"),
    (["--clock", "0"], "clock: wanted more than 0 MHz, got 0"),
    (["--clock", "nan"], "clock: wanted more than 0 MHz, got nan"),
    (["--clock", "inf"], "clock: wanted 0.001..1e+06 MHz, got inf"),
    (["--clock", "1e-300"], "clock: wanted 0.001..1e+06 MHz, got 1e-300"),
    (["--batch", "1000000000000"], "batch: wanted at most 65,535 images, got 1,000,000,000,000"),
    (["--memory-latency", "10000000"], "memory latency: wanted at most 1,000,000 cycles, got 10"),
    (["--bandwidth", "1e999999999"], "--bandwidth: wanted bytes per cycle, got '1e999999999'"),
    (["--bandwidth", "1/999999999"], "memory bandwidth: wanted 1/1000000..1000000 bytes per cyc"),
    (["--steps", "99999999"], "steps: wanted at most 1,000,000, got 99,999,999"),
    (["--tokens", "1000000000"], "tokens: wanted 1..65535 of cifar10, 0 of them of an image"),
    (["--size", "1000000000", "8"], "size: wanted 1..65535 both ways, got 1000000000 x 8"),
    (["--size", "1024", "1024"], "attn1.scores: 262,144 keys are more than the core takes, "),
    (["--model", "CompVis/stable-diffusion-v1-4"], "is not a file here, and nothing is downloaded"),
    (["--model", "/"], "/: is a folder without unet/config.json or config.json"),
    (["--tokens", "0"], "tokens: wanted at least 1 of a UNet2DConditionModel, got 0 of cifar10"),
    (["--steps", "0"], "steps: wanted at least 1, got 0"),
    (["--size", "9", "16"], "size: wanted multiples of 4, got 9 x 16"),
    (["--weights", "5"], "weight bits: wanted one of (2, 3, 4, 8) bits, got 5"),
    (["--activations", "1"], "activation bits: wanted one of (2, 3, 4, 8) bits, got 1"),
    (["--rotate", "height"], "rotate: wanted width, channel or none, got 'height'"),
    (["--order", "7"], "order: wanted 0..6, got 7"),
    (["-o", "report.pdf"], "-o: wanted a file ending in .html, .png, .svg, got report.pdf"),
])
def test_bad_input(capsys, arguments, text):
    status, out, err = run(capsys, *arguments)
    assert status == 2 and not out
    assert len(err) == 1 and err[0].startswith("error: ") and text in err[0]


def test_a_layer_that_does_not_fit(capsys, tmp_path):
    """Which layer, what it needs, which configurations would do."""
    small = tmp_path / "small.json"
    small.write_text(json.dumps({"n": 4, "buffer_words": 64, "acc_words": 16}))
    status, out, err = run(capsys, "--model", "ldm4-imagenet", "--config", str(small))
    assert status == 2 and not out and len(err) == 1
    assert "error: conv_in: does not fit small: the smallest tile needs 64 accumulator" in err[0]
    assert "it fits n4, n8, n16, n32, n64" in err[0]

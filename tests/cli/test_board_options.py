"""`--backend uio`: a layer and an image on an emulated board, errors in one line."""

import json

import pytest

from hqdm.cli.board_options import Board
from hqdm.cli.main import main
from hqdm.firmware.device.transports.emulated import EmulatedBoard
from hqdm.spec import config_by_name

SLOW = ("--clock-mhz", "0.02")      # golden takes longer than a core


@pytest.fixture
def root(tmp_path):
    """Folder of an emulated n4 board."""
    with EmulatedBoard(tmp_path, config_by_name("n4"), 1 << 22):
        yield tmp_path


@pytest.fixture
def run(capsys):
    """Run `hqdm ... --backend uio --json`; (status, JSON or None, lines of stderr)."""
    def command(name, root, *options):
        status = main([name, "--backend", "uio", "--root", str(root), "--config", "n4", *SLOW,
                       "--json", *map(str, options)])
        captured = capsys.readouterr()
        return (status, json.loads(captured.out) if captured.out else None,
                captured.err.splitlines())
    return command


def test_a_layer(run, root):
    status, result, err = run("layer", root, "--size", 8, 8, "--channels", 8, 12)
    assert (status, err) == (0, []) and result["mismatches"] == 0
    assert result["outputs"] == 12 * 64 and result["config"] == "n4"


def test_an_image(run, root, tiny_folder, tmp_path):
    """The same picture as golden draws."""
    options = ("--model", tiny_folder, "-n", 1, "--steps", 2, "--guidance", 1, "-o")
    status, result, err = run("sample", root, *options, tmp_path / "x.png")
    assert (status, err) == (0, []) and result["backend"] == "uio"
    assert (result["layers_compared"], result["mismatches"]) == (128, 0)
    assert main(["sample", *map(str, options), str(tmp_path / "golden.png")]) == 0
    assert (tmp_path / "x.png").read_bytes() == (tmp_path / "golden.png").read_bytes()
    assert not (tmp_path / "x.png.state").exists()


@pytest.mark.parametrize(("options", "wanted"), [
    (("--device", "/dev/uio3"), "dev/uio3: no such UIO device, found uio0; see docs/linux.md"),
    (("--memory", "ram"), "dev/ram: no such u-dma-buf, nor any other ram; see docs/linux.md"),
    (("--config", "n8"), "config_hash: wanted 0x"),
    (("--clock-mhz", 0), "clock: wanted more than 0 MHz, got 0"),
    (("--size", 64, 64, "--channels", 256, 256), "of activations), the device has 4194304"),
    (("--device", "core.bit"), "--memory: wanted pynq+SIZE beside core.bit, got 'udmabuf0'"),
    (("--device", "a.bit:b", "--memory", "pynq+4096"), "pynq: the library is not installed here"),
])
def test_errors(run, root, options, wanted):
    status, result, err = run("layer", root, *options)
    assert (status, result, len(err)) == (2, None, 1) and wanted in err[0]


@pytest.mark.parametrize(("options", "wanted"), [
    (("--config", "n8"), "config_hash: wanted 0x"),
    (("--memory", "ram"), "dev/ram: no such u-dma-buf")])
def test_errors_leave_nothing(run, root, tiny_folder, tmp_path, options, wanted):
    status, _, err = run("sample", root, "--model", tiny_folder, "-n", 1, "--steps", 2,
                         "-o", tmp_path / "x.png", *options)
    assert (status, len(err)) == (2, 1) and wanted in err[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dev", "sys"]


def test_a_network_that_does_not_fit(run, tmp_path, tiny_folder):
    with EmulatedBoard(tmp_path, config_by_name("n4"), 1 << 16):
        status, _, err = run("sample", tmp_path, "--model", tiny_folder, "-n", 1, "--steps", 2,
                             "-o", tmp_path / "x.png")
    assert (status, len(err)) == (2, 1)
    assert "on n4: wanted " in err[0] and "the device has 65536" in err[0]


def test_defaults():
    board = Board()
    assert (board.device, board.memory, board.clock_mhz) == ("/dev/uio0", "udmabuf0", 100)

"""One fuzz target per file format: what is altered, and what reads it.

`python -m tests.fuzz.targets --examples 10000` counts what becomes of so many altered files of
each format; docs/files.md says how to read the table.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from hqdm.firmware.catalogue.library import read_model
from hqdm.firmware.catalogue.shapes import shapes
from hqdm.firmware.device.driver import DeviceError
from hqdm.firmware.device.reproducer import load_reproducer
from hqdm.firmware.device.state import SamplingState
from hqdm.kit.tensor_file import load_checkpoint, save_checkpoint
from hqdm.learn.data.cifar10 import load_cifar10
from hqdm.learn.evaluation.subjects import load_subject
from hqdm.sim.replay import replay_file
from hqdm.spec.config_file import read_config
from tests import small_files as small
from tests.fuzz import alter
from tests.fuzz.child import deadline, in_child

CLEAN = (ValueError, TypeError, OSError, DeviceError)   # hqdm ends with status 2 and one line
SECONDS = 20            # that a file may take


@dataclass(frozen=True)
class Target:
    """A format.

    Members
    -------
    write: writes the smallest file of it into a folder; a strategy of altered files, as functions
        that write one into a folder, comes back.
    read: reads what is in the folder, and uses what it accepts.
    """

    write: Callable[[Path], st.SearchStrategy[Callable[[Path], None]]]
    read: Callable[[Path], Any]


def _bytes(name: str, altered: st.SearchStrategy[bytes]) -> Any:
    return altered.map(lambda content: lambda folder: (folder / name).write_bytes(content))


def _checkpoint(name: str, kind: str, write: Callable[[Path], Any]) -> Any:
    """Altered bytes of a checkpoint, which its checksum tells, or altered contents, which none
    does."""
    def strategy(folder: Path) -> Any:
        write(folder / name)
        read = load_checkpoint(folder / name, kind)
        read = type(read)(kind=kind, architecture=read.architecture, training=read.training,
                          tensors={n: t.clone() for n, t in read.tensors.items()})
        content = (folder / name).read_bytes()
        contents = alter.altered_checkpoint(read).map(
            lambda found: lambda folder: save_checkpoint(folder / name, found))
        return _mostly(contents, _bytes(name, alter.altered_bytes(content)))
    return strategy


@st.composite
def _mostly(draw: Any, often: Any, seldom: Any) -> Any:
    return draw(seldom if draw(st.integers(0, 5)) == 5 else often)


def _sample(folder: Path, name: str) -> None:
    subject = load_subject(folder / name)
    assert subject.schedule
    latents = torch.zeros(1, *subject.shape)
    subject.predict(latents, torch.tensor(subject.schedule[-1]), torch.zeros(1, dtype=torch.int64))


def _resume(folder: Path) -> None:
    state = SamplingState(folder / "x.state", small.ARGUMENTS, small.RUN)
    for record, latents in zip(state.records, state._latents, strict=True):
        assert state.find(record.image, record.step, latents) is not None


def _replay(folder: Path) -> None:
    load_reproducer(folder / "x.mismatch")
    replay_file(folder / "x.mismatch", "golden")


def _pictures(folder: Path) -> Any:
    picture, labels = small.write_sheet(folder)
    png, text = picture.read_bytes(), labels.read_bytes()
    return st.one_of(
        _both(_bytes(picture.name, alter.altered_png(png)), labels.name, text),
        _both(_bytes(labels.name, alter.altered_json([3, 8])), picture.name, png))


def _both(altered: Any, name: str, content: bytes) -> Any:
    """An altered file beside one that is not."""
    def also(write: Callable[[Path], None]) -> Callable[[Path], None]:
        def both(folder: Path) -> None:
            (folder / name).write_bytes(content)
            write(folder)
        return both
    return altered.map(also)


def _batches(folder: Path) -> Any:
    path = small.write_batch(folder)
    return _bytes(path.name, alter.altered_pickle(path.read_bytes()))


def _data(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as cache:
        assert len(load_cifar10(folder, "test", Path(cache))) > 0


def _core(folder: Path) -> None:
    config = read_config(str(folder / "core.json"))
    assert config.hash and len(config.row_cells) == config.n and config.words(100)


def _model(folder: Path) -> None:
    assert shapes(read_model(str(folder / "model.json"))).network.macs > 0


TARGETS = {
    "integers": Target(_checkpoint("x.safetensors", "integers", small.write_integers),
                       lambda folder: _sample(folder, "x.safetensors")),
    "quantised": Target(_checkpoint("x.safetensors", "quantised", small.write_quantised),
                        lambda folder: _sample(folder, "x.safetensors")),
    "state": Target(_checkpoint("x.state", "sampling by layers", small.write_state), _resume),
    "reproducer": Target(_checkpoint("x.mismatch", "reproducer", small.write_reproducer), _replay),
    "configuration": Target(
        lambda folder: _bytes("core.json", alter.altered_json(small.CONFIG)), _core),
    "model": Target(lambda folder: _bytes("model.json", alter.altered_json(small.MODEL)), _model),
    "pictures": Target(_pictures, _data),
    "batches": Target(_batches, _data),
}


@cache
def _strategy(name: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return TARGETS[name].write(Path(folder))


def run(name: str, examples: int, number: int) -> Counter[str]:
    """Read so many altered files, and count what was taken and what was refused.

    Raises
    ------
    Exception: of the first file that was neither; hypothesis says which alteration it is.
    """
    counts: Counter[str] = Counter()

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, print_blob=False,
              phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck))
    @given(_strategy(name))
    def read(write: Callable[[Path], None]) -> None:
        counts[_outcome(TARGETS[name], write)] += 1

    read()
    return counts


def _outcome(target: Target, write: Callable[[Path], None]) -> str:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        write(folder)
        before = {p.name: p.read_bytes() for p in folder.iterdir()}
        try:
            with deadline(SECONDS):
                target.read(folder)
            outcome = "taken"
        except CLEAN as error:
            assert "\n" not in str(error) and str(error), f"wanted one line, got {error!r}"
            outcome = "refused"
        after = {p.name: p.read_bytes() for p in folder.iterdir()}
        assert after == before, f"wanted nothing left behind, got {sorted(after)}"
        return outcome
    finally:
        shutil.rmtree(folder)


def count(name: str, examples: int, number: int) -> dict[str, int]:
    """`run` in a process of its own, of limited memory; AssertionError says what went wrong."""
    _strategy(name)     # once, before the process is split
    return in_child(lambda: dict(run(name, examples, number)))


def main(arguments: Iterable[str] | None = None) -> int:
    """Print a table of counts; 1 if a file was neither taken nor refused."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.targets")
    parser.add_argument("formats", nargs="*", help=f"by default all: {', '.join(TARGETS)}")
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(None if arguments is None else list(arguments))
    bad = 0
    for name in options.formats or TARGETS:
        try:
            found = count(name, options.examples, options.seed)
            print(f"{name:14} {sum(found.values()):6} files: {found.get('refused', 0):6} refused, "
                  f"{found.get('taken', 0):6} taken", flush=True)
        except AssertionError as error:
            bad = 1
            print(f"{name:14} {error}", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())

"""Counters of a core beside the estimate, and how the report shows them."""

from dataclasses import replace

import pytest

from hqdm.cycles.measured import FIGURES, Measured
from hqdm.cycles.plots import figure
from hqdm.cycles.question import ask
from hqdm.cycles.report import page
from hqdm.firmware.catalogue.library import read_model
from hqdm.firmware.catalogue.shapes import shapes
from hqdm.spec import config_by_name
from hqdm.spec.stalls import Spent, Stalls

CALLS, NOTHING = 4, Spent()


@pytest.fixture(scope="module")
def answer():
    return ask(shapes(read_model("cifar10")), config_by_name("n16"))


@pytest.fixture
def no_plots(monkeypatch):
    monkeypatch.setattr("hqdm.cycles.report.draw", lambda answer, kind: b"<svg/>")


def measured(answer, more=NOTHING):
    """The estimate, as if it had been counted, and `more` in the third layer."""
    layers = [Spent(cycles=CALLS * r.cycles, busy=CALLS * r.busy, stalls=r.stalls * CALLS)
              for r in answer.step.runs]
    layers[2] += more
    return Measured(where="a core", calls=CALLS, layers=tuple(layers))


def test_a_perfect_estimate(answer, no_plots):
    found = measured(answer)
    pairs = found.beside(found.total, answer.step)
    assert len(pairs) == len(FIGURES) and all(got == wanted for got, wanted in pairs)
    assert found.differing(answer.step) == []
    text = page(replace(answer, measured=found))
    count = len(answer.step.runs)
    assert f"{count} of {count} layers take the estimated cycles exactly." in text
    assert f"{answer.step.cycles:,} cycles per step, 0 (+0.000%) against the estimate" in text


def test_a_layer_that_waits(answer, no_plots):
    found = measured(answer, Spent(cycles=10, stalls=Stalls(memory=12, load=-2)))
    name = answer.step.runs[2].name
    assert found.differing(answer.step) == [(name, 2.5)]
    assert [got - wanted for got, wanted in found.beside(found.total, answer.step)] == [
        2.5, 0, -0.5, 0, 0, 3, 0]
    text = page(replace(answer, measured=found))
    assert f"the largest difference is +2.5 in {name}." in text
    assert "<td>+2.5</td>" in text and "<td>-0.5</td>" in text and "<td>+3</td>" in text


def test_the_line_of_the_plot(answer):
    def labels(asked):
        return [t.get_text() for axis in figure(asked).axes if axis.get_legend()
                for t in axis.get_legend().get_texts()]
    assert "measured" not in labels(answer)
    assert labels(replace(answer, measured=measured(answer))).count("measured") == 1


def test_other_layers_are_refused(answer):
    found = measured(answer)
    with pytest.raises(ValueError, match=r"measured: wanted \d+ layers of 1 image, got 3 beside 1"):
        replace(answer, measured=replace(found, layers=found.layers[:3]))
    with pytest.raises(ValueError, match=r"layers of 1 image, got \d+ beside 2"):
        replace(answer, step=replace(answer.step, batch=2), measured=found)
    with pytest.raises(ValueError, match="at least 1 call of the network, got 0"):
        replace(found, calls=0)

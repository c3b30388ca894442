"""The page of `hqdm cycles`: totals of the whole batch."""

import pytest

from hqdm.cycles.report import page
from tests.cycles.small_answer import MADE, small_answer


def rows(text, heading):
    body = text.split(f"<h2>{heading}</h2>")[1].split("<tbody>")[1].split("</tbody>")[0]
    return [row.replace("</td>", "").split("<td>")[1:] for row in body.replace(
        "</tr>", "").split("\n")]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_totals_are_of_the_batch(batch, monkeypatch):
    monkeypatch.setattr("hqdm.cycles.report.draw", lambda answer, kind: b"<svg></svg>")
    found = small_answer(batch)
    text = page(found)
    assert rows(text, "Folded away") == [["a constant", f"{2.5 * batch:,.2f}", ""]]
    host = rows(text, "Still on the host")
    assert len(host) == len(MADE)
    assert [row[1] for row in host] == [f"{h.elements:,}" for h in found.step.host]
    [_, _, products, _, cycles, *_] = rows(text, "Layers by kind")[-1]
    assert (products, cycles) == (f"{found.step.macs / 1e6:,.1f}", f"{found.step.cycles:,}")

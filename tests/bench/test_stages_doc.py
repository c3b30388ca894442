"""docs/stages.md is what spec says."""

from bench.stages_doc import PAGE, page
from hqdm.spec.stages import LOAD, STORE


def test_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/stages.md is out of date: run python -m bench.stages_doc")


def test_page_names_every_stage_in_order():
    text = page()
    places = [text.index(f"| {stage.name} |") for stage in LOAD + STORE]
    assert places == sorted(places)

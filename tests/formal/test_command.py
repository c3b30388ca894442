"""python -m formal: the report, its exit status, and a wrong name."""

from formal.__main__ import main
from formal.catalogue import PROPERTIES


def test_a_property_by_name(capsys):
    assert main(["--defects", "tokens.operand_buffer"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("tokens.operand_buffer")
    assert "proved (10 states)" in line and "defects seen" in line


def test_side_by_side_and_without_a_register(capsys):
    assert main(["--defects", "--jobs", "2", "arithmetic.rounding", "tokens.operand_buffer"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("arithmetic.rounding") and "no register to break" in first
    assert second.startswith("tokens.operand_buffer") and "defects seen" in second


def test_the_list_has_a_statement_for_each(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [item.name for item in PROPERTIES]
    assert all(len(line.split()) > 4 for line in lines)


def test_an_unknown_property(capsys):
    assert main(["bus.typo"]) == 2
    assert "property: wanted one of bus.reader" in capsys.readouterr().err
    assert main(["--jobs", "0"]) == 2
    assert "jobs: wanted at least 1, got 0" in capsys.readouterr().err

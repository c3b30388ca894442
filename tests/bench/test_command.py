"""Errors of the commands, and their figures."""

import json

import pytest

from bench.command import one_line_errors, write_json


@pytest.mark.parametrize("error", [ValueError, OSError, RuntimeError, ModuleNotFoundError])
def test_one_line(capsys, error):
    @one_line_errors
    def main(text: str) -> int:
        if text:
            raise error(text)
        return 1

    assert main("") == 1 and main("two\n lines") == 2
    assert capsys.readouterr().err == "error: two lines\n"


def test_other_errors_are_not_hidden():
    @one_line_errors
    def main() -> int:
        raise KeyError("a mistake of ours")

    with pytest.raises(KeyError):
        main()


def test_figures(tmp_path):
    write_json(None, {})
    write_json(tmp_path / "x.json", {"b": [1, 2.5], "a": None})
    assert json.loads((tmp_path / "x.json").read_text()) == {"b": [1, 2.5], "a": None}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]

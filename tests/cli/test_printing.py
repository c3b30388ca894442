"""Tables: whole in a pipe."""

from hqdm.cli.printing import print_rows, print_values


def test_values_are_whole(capsys):
    print_values({"sha256": "0" * 200, "nested": {"n": 1, "ratio": 0.5}}, as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["sha256", "0" * 200], ["nested.n", "1"], ["nested.ratio", "0.500"]]


def test_rows_are_whole(capsys):
    print_rows({"first": {"a": "x" * 100, "b": "y" * 100}}, as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["name", "a", "b"], ["first", "x" * 100, "y" * 100]]

"""Progress of long steps: a line per change when there is no terminal, none at first."""

from hqdm.cli import steps


def test_lines(capsys, monkeypatch):
    monkeypatch.setattr(steps, "QUIET_SECONDS", 0.0)
    with steps.Steps() as say:
        for doing in ("placing", "placing", "routing", "done"):
            say("seed 1", doing)
        say("seed 2", "done")
    assert capsys.readouterr().err.splitlines() == [
        f"{text} (0 s)" for text in ("seed 1: placing", "seed 1: routing", "seed 1: done",
                                     "seed 2: done")]


def test_quiet_at_first(capsys):
    with steps.Steps() as say:
        say("yosys", "synthesis")
    assert not capsys.readouterr().err


def test_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with steps.Steps() as say:
        say("seed 1", "placing")
        say("seed 1", "done")
        assert [task.description for task in say.progress.tasks] == ["seed 1: done"]
        assert say.progress.finished

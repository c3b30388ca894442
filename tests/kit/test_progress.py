"""Progress: bars on a terminal, lines when there is none."""

import pytest

from hqdm.kit import progress


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")


def bars(say):
    return {task.description: (task.completed, task.total, task.fields["text"])
            for task in say.progress.tasks}


def test_a_line_a_change(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    with progress.Steps() as say:
        for doing in ("placing", "placing", "routing", "done"):
            say("seed 1", doing)
        say("seed 2", "done")
    assert capsys.readouterr().err.splitlines() == [
        f"{text} (0 s)" for text in ("seed 1: placing", "seed 1: routing", "seed 1: done",
                                     "seed 2: done")]


def test_quiet_at_first(capsys):
    with progress.Steps() as say, progress.StageBars() as stages:
        say("yosys", "synthesis")
        stages("steps", 0, 9)
        stages("steps", 1, 9)
    assert not capsys.readouterr().err


def test_steps_on_a_terminal(terminal):
    with progress.Steps() as say:
        say("seed 1", "placing")
        assert bars(say) == {"seed 1": (0, 1, "placing")} and not say.progress.finished
        say("seed 1", "done")
        assert bars(say) == {"seed 1": (1, 1, "done")} and say.progress.finished


def test_a_line_every_half_minute(capsys):
    with progress.StageBars() as say:
        say("record", 2, 10)
        for done in (4, 6, 7):
            start, first = say.first["record"]
            say.first["record"] = start - 60, first
            say.spoken -= 40 * (done != 6)
            say("record", done, 10, "loss 1")
    assert capsys.readouterr().err.splitlines() == [
        "record: 4/10, loss 1, 3.0 min left", "record: 7/10, loss 1, 1.8 min left"]


def test_stages_on_a_terminal(capsys, terminal):
    with progress.StageBars() as say:
        say("record", 0, 2)
        say("distil", 3, 8, "[loss]")
        say.spoken -= 40
        say("record", 2, 2)
        assert bars(say) == {"record": (2, 2, "2/2, 0.0 min left"),
                             "distil": (3, 8, "3/8, [loss]")}
    assert "[loss]" in capsys.readouterr().err


def test_what_is_due(capsys):
    with progress.Bars() as say:
        assert not say.line("a") and say.line("b", now=True) and not say.line("c")
    assert capsys.readouterr().err == "b\n"

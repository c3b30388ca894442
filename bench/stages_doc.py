"""docs/stages.md, made from `spec/stages.py`: `python -m bench.stages_doc` writes it."""

from pathlib import Path

from bench.registers_doc import table
from hqdm.spec.stages import LOAD, STORE, Stage

PAGE = Path(__file__).parent.parent / "docs" / "stages.md"

INTRODUCTION = """\
# Stages

Made from `spec/stages.py` by `python -m bench.stages_doc`; a test says when it is out of date.
How to add one: [add-a-stage.md](add-a-stage.md). What the letters mean: [numerics.md](numerics.md).

A stage of the host has no unit in the core: golden computes it, and the driver between two layers.
"""
HEADER = ("stage", "formula", "asked for by", "descriptor, *step entry*", "cycles")


def _asked_by(stage: Stage) -> str:
    if stage.option is None:
        return "every layer"
    return f"`{stage.option}`" + (f" with `{stage.value}`" if stage.value else "")


def _cycles(stage: Stage) -> str:
    if stage.latency is None:
        return "host"
    return "by order" if callable(stage.latency) else str(stage.latency)


def _row(stage: Stage) -> tuple[str, ...]:
    fields = [f"`{name}`" for name in stage.fields] + [f"*`{n}`*" for n in stage.step_fields]
    formula = stage.formula.replace("*", r"\*")
    return stage.name, formula, _asked_by(stage), ", ".join(fields), _cycles(stage)


def page() -> str:
    """The whole page."""
    return "\n".join([
        INTRODUCTION,
        "## Load: int16 carriers to operands\n", table(HEADER, [_row(s) for s in LOAD]),
        "## Store: int32 partial sums to int16 carriers\n", table(HEADER, [_row(s) for s in STORE]),
    ])


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()

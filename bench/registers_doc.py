"""docs/registers.md, made from `spec`: `python -m bench.registers_doc` writes it."""

from pathlib import Path

from hqdm.spec.descriptor import DESCRIPTOR_BYTES, FIELDS, STEP_BYTES, STEP_FIELDS
from hqdm.spec.field import Field
from hqdm.spec.registers import REGISTERS, Control, Fault, Status

PAGE = Path(__file__).parent.parent / "docs" / "registers.md"

INTRODUCTION = """\
# Registers, descriptor, step table

Made from `spec/registers.py` and `spec/descriptor.py` by `python -m bench.registers_doc`; a test
says when it is out of date.

## Registers

AXI4-Lite, 32 bits, one access at a time; write strobes are respected. An address without a
register, or a write to a `ro` register, is answered with SLVERR.
`ro` read only, `rw` read and write, `wo` write only (reads 0), `w1c` write 1 to clear.
"""

FAULTS = """\
## Faults

`fault_address` is the address of the descriptor word for faults {bad} to {timestep},
of the burst for the AXI faults, and the word index for the overflows.
"""


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def fields(title: str, text: str, layout: tuple[Field, ...]) -> str:
    """Section of one memory structure: offset of the word, bits, name, legal values, meaning."""
    rows = [(f"0x{4 * f.word:02X}", bits(f), f"`{f.name}`", f.values, f.doc)
            for f in sorted(layout, key=lambda f: f.shift)]
    header = ("offset", "bits", "field", "legal", "meaning")
    return f"## {title}\n\n{text}\n\n" + table(header, rows)


def bits(field: Field) -> str:
    """`high:low`, or the one bit."""
    high = field.lsb + field.bits - 1
    return f"{high}:{field.lsb}" if field.bits > 1 else str(field.lsb)


def page() -> str:
    """The whole page."""
    registers = [(f"0x{r.address:02X}", f"`{r.name}`", r.access, r.doc) for r in REGISTERS]
    members = [(f"`{kind.__name__.lower()}`", str(bit.value), bit.name)
               for kind in (Control, Status) for bit in kind]
    faults = [(str(fault.value), fault.name) for fault in Fault]
    return "\n".join([
        INTRODUCTION,
        table(("address", "register", "access", "meaning"), registers),
        table(("register", "bit", "name"), members),
        FAULTS.format(bad=Fault.BAD_DESCRIPTOR.value, timestep=Fault.TIMESTEP.value),
        table(("code", "name"), faults),
        fields("Descriptor", f"{DESCRIPTOR_BYTES} bytes, aligned to its size; little-endian.",
               FIELDS),
        fields("Step table entry", f"{STEP_BYTES} bytes, one entry per timestep.", STEP_FIELDS),
    ])


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()

"""What is changed in the Verilog that Yosys writes: the same hardware, faster to simulate."""

import re
from collections import Counter
from itertools import groupby

from hqdm.rtl.verilog_choices import continuous

_ZERO_MEMORY = re.compile(r"  initial begin\n(?:    \S+\[\d+\] = \d+'[hd]0+;\n)+  end\n")
_FIELD = re.compile(r"^  wire (?:\[\d+:0\] )?(\\[^ ]*[.\[][^ ]*) ;\n", re.M)
_REGISTER = re.compile(r"^  (always @\(posedge \S+\))\n    (\S+)  ?<= (\\\S+ );\n", re.M)
_PROCESS = re.compile(r"^  always @\* begin\n    if \(\\\S+ \) begin end\n(.*?)^  end\n",
                      re.M | re.S)
_TARGET = re.compile(r"^( *)(\\\S+ ) ?(\[[^\]]*\] )?= ", re.M)
_DECLARATION = re.compile(r"^  reg (?:\[\d+:0\] )?(\\\S+ );\n", re.M)
_CONCATENATION = re.compile(r"\{ ([^{}]*) \}")
_SINGLE = re.compile(r"begin\n *([^;\n]*;)\n *end\n")


def _drop_fields(module: str) -> str:
    r"""`module` without the wires that only name a field of a signal, such as `\data[1] `.

    Nothing reads them, and Yosys' ABC9 takes one for bit 1 of `data`: it joins the two nets.
    """
    words = Counter(re.findall(r"\\[^ ]+ ", module))
    for name in _FIELD.findall(module):
        if words[f"{name} "] == 2:      # its declaration and its one assignment
            escaped = re.escape(name)
            module, dropped = re.subn(rf"^  (?:wire (?:\[\d+:0\] )?{escaped} ;|"
                                      rf"assign {escaped}  = [^;]*;)\n", "", module, flags=re.M)
            assert dropped == 2
    return module


def _clocked(process: re.Match[str], register: str) -> str:
    """The statements of a combinational `process`, assigning to `register` at a clock edge."""
    name = f"{register} " if register.startswith("\\") else register
    body = _TARGET.sub(lambda found: f"{found[1]}{name}{found[3] or ''} <= ", process[1])
    body = body.replace(f"    {name} <= {name};\n", "", 1)       # holds its value
    return _SINGLE.sub(r"\1\n", body)


def _clock_processes(module: str) -> str:
    """`module` with registers assigned where their next values are decided, as people write it.

    Yosys decides a next value in a combinational process of its own, in every cycle for all bits,
    and so does a simulator. In a clocked process an enable that is low costs one branch. Left as
    they are: next values that something else reads, and assignments to a concatenation.
    """
    registers = {found[3]: found[2] for found in _REGISTER.finditer(module)}
    words = Counter(re.findall(r"\\[^ ]+ ", module))
    bodies, processes = {}, set()
    for process in _PROCESS.finditer(module):
        targets = [found[2] for found in _TARGET.finditer(process[1])]
        value = targets[0] if targets else ""
        # every mention of the value is its declaration, an assignment here, or the register
        if (value in registers and len(set(targets)) == 1
                and process[1].count(value) == len(targets) == words[value] - 2):
            bodies[value] = _clocked(process, registers[value])
            processes.add(process[0])
    module = _PROCESS.sub(lambda found: "" if found[0] in processes else found[0], module)
    module = _DECLARATION.sub(lambda found: "" if found[1] in bodies else found[0], module)
    return _REGISTER.sub(lambda found: f"  {found[1]} begin\n{bodies[found[3]]}  end\n"
                         if found[3] in bodies else found[0], module)


def _replicate(text: str) -> str:
    """`text` with replications, where a concatenation repeats its parts: mostly signs."""
    def shorter(found: re.Match[str]) -> str:
        parts = [(part, len(list(same))) for part, same in groupby(found[1].split(", "))]
        return "{ " + ", ".join(part if times == 1 else f"{{{times}{{{part}}}}}"
                                for part, times in parts) + " }"
    return _CONCATENATION.sub(shorter, text)


def improve(text: str) -> str:
    """Verilog `text` of Yosys' ``write_verilog`` after all changes of this file.

    Memories that start at zero get no initial contents: nothing reads a word it has not written,
    and one line per word would be a quarter of the text.
    """
    modules = re.split(r"(?<=^endmodule\n)", _replicate(_ZERO_MEMORY.sub("", text)), flags=re.M)
    return "".join(continuous(_clock_processes(_drop_fields(module)))
                   for module in modules)

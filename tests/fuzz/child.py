"""A process of limited memory that answers once, and a limit on time inside it."""

import os
import pickle
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

MORE_MEMORY = 2 << 30   # bytes of address space, beyond what the process has


class TooLong(BaseException):
    """What no reader of a file may catch."""


@contextmanager
def deadline(seconds: int) -> Iterator[None]:
    """AssertionError if the body takes longer."""
    def rings(*_: Any) -> NoReturn:
        raise TooLong

    before = signal.signal(signal.SIGALRM, rings)
    signal.alarm(seconds)
    try:
        yield
    except TooLong:
        raise AssertionError(f"wanted an answer in {seconds} s, got none") from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_child(work: Callable[[], Any]) -> Any:
    """What `work()` gives in a copy of this process; AssertionError if it raises or dies."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(work, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    assert answer, f"wanted an answer, got a process that ended with {status:#x}"
    good, value = pickle.loads(answer)
    assert good, value
    return value


def _answer(work: Callable[[], Any], writer: int) -> NoReturn:
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MORE_MEMORY, used + MORE_MEMORY))
        answer = True, work()
    except BaseException:
        answer = False, traceback.format_exc()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(pickle.dumps(answer))
    os._exit(0)

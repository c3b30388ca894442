"""The waiting for a core on a board, without any files."""

from types import SimpleNamespace

import pytest

from hqdm.firmware.device.transports.board import PATIENCE, BoardTransport

MEMORY = SimpleNamespace(base=0x4000, size=64, close=lambda: None)


def transport(clock_mhz, raised=0, interrupts=()):
    """A core whose irq_status is `raised`; what its interrupt was asked, and answers."""
    asked, answers = [], iter(interrupts)

    def wait(seconds):
        asked.append(seconds)
        return next(answers, False)

    registers = SimpleNamespace(read=lambda address: raised, close=lambda: None)
    interrupt = SimpleNamespace(wait=wait, close=lambda: None)
    return BoardTransport(registers, MEMORY, interrupt, clock_mhz), asked


@pytest.mark.parametrize(("cycles", "clock_mhz"), [(300_000_000, 100), (40_000, 0.01), (9, 100)])
def test_a_wait_lasts_as_long_as_its_cycles(cycles, clock_mhz):
    """And the time that the operating system may take besides."""
    wanted = cycles / (clock_mhz * 1_000_000) + PATIENCE
    board, asked = transport(clock_mhz)
    with pytest.raises(TimeoutError, match=rf"no interrupt in {cycles} cycles \({wanted:.1f} s at "
                                           rf"{clock_mhz:g} MHz\); see docs"):
        board.wait(cycles)
    assert len(asked) == 1 and wanted - 0.5 < asked[0] <= wanted


def test_an_interrupt_that_an_earlier_process_left_is_waited_over():
    board, asked = transport(100, interrupts=(True, True))
    with pytest.raises(TimeoutError):
        board.wait(1)
    assert len(asked) == 3 and sorted(asked, reverse=True) == asked


def test_an_interrupt_that_is_raised_ends_the_wait():
    board, asked = transport(100, raised=1, interrupts=(True,))
    board.wait(1)
    assert len(asked) == 1


def test_an_interrupt_that_linux_did_not_see_is_said():
    with pytest.raises(TimeoutError, match=r": the core raised it \(irq_status is 1\), Linux"):
        transport(100, raised=1)[0].wait(1)

"""Progress of sampling on the device: images, steps, layers, rate and time left, on stderr."""

import time

from hqdm.kit.progress import Bars


class SampleProgress(Bars):
    """Three bars on a terminal, a line every half minute elsewhere; a context manager.

    Parameters
    ----------
    images, steps: of the run.
    layers: nodes of one step, over all its calls.
    cycles: estimated cycles of one step.
    """

    def __init__(self, images: int, steps: int, layers: int, cycles: int) -> None:
        super().__init__()
        self.images, self.steps, self.layers = images, steps, layers
        self.left = images * steps * cycles     # estimated cycles that are not yet simulated
        self.per_step = cycles
        self.image = self.step = self.layer = 0
        self.estimated = self.simulated = 0     # since it was entered

    def begin(self, image: int, step: int) -> None:
        """A step begins."""
        self.image, self.step, self.layer = image, step, 0
        self._show()

    def skip(self) -> None:
        """The step was done in an earlier run."""
        self.left -= self.per_step

    def node(self, estimated: int, cycles: int) -> None:
        """A node has run, on any thread: cycles by estimate and by counter."""
        with self.lock:
            self.layer += 1
            self.estimated += estimated
            self.simulated += cycles
            self._show()

    def note(self) -> str:
        """Rate and time left, in words; empty at first."""
        seconds = time.monotonic() - self.begun
        if not self.estimated or seconds <= 0:
            return ""
        left = (self.left - self.estimated) * seconds / self.estimated
        return f"{self.simulated / seconds / 1000:,.0f}k cycles/s, {max(left, 0) / 60:.1f} min left"

    def _show(self) -> None:
        layers = f"{self.layer}/{self.layers}"
        self.bar("images", self.image, self.images, f"{self.image}/{self.images}")
        self.bar("steps", self.step, self.steps, f"{self.step}/{self.steps}")
        self.bar("layers", self.layer, self.layers, f"{layers} {self.note()}")
        self.line(f"image {self.image + 1}/{self.images}, step {self.step + 1}/{self.steps}, layer "
                  f"{layers}: {self.note()}")

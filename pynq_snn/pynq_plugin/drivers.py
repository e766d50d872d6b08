"""The driver that pynq binds to the core by its VLNV.

>>> from pynq import Overlay                                                      # doctest: +SKIP
>>> snn = Overlay("pynq_snn.bit").snn                                             # doctest: +SKIP
>>> snn.load("vgg11")                                                             # doctest: +SKIP
>>> logits = snn.infer(images)                                                    # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from pynq import DefaultIP

from pynq_snn.accelerator import Accelerator, RunReport
from pynq_snn.network import Network
from pynq_snn.overlay import block_design


class SnnCore(DefaultIP):
    """The core of an overlay, in pynq's own style.

    Registers are there as ``register_map`` from the beginning. The board is taken, and the core checked and set up,
    when `accelerator` or one of the methods is first used, and given back by `close`.
    """

    bindto = [block_design.CORE_VLNV]

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        self._accelerator: Accelerator | None = None

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator on this core; raises DeviceError as `pynq_snn.devices.board.BoardDevice` does."""
        if self._accelerator is None:
            from pynq_snn.devices.board import BoardDevice
            from pynq_snn.overlay.files import find_overlay

            overlay = find_overlay(Path(self.device.bitfile_name).parent)
            self._accelerator = Accelerator(BoardDevice(overlay, core=self))
        return self._accelerator

    def load(self, model: str | Path | Network, **options: Any) -> Network:
        """Load a network; see `Accelerator.load`."""
        return self.accelerator.load(model, **options)

    def infer(self, images: npt.NDArray[Any], **options: Any) -> npt.NDArray[np.int32]:
        """Return the integer logits of pictures; see `Accelerator.infer`."""
        return self.accelerator.infer(images, **options)

    def infer_events(self, events: Any, **options: Any) -> npt.NDArray[np.int32]:
        """Return the integer logits of address events; see `Accelerator.infer_events`."""
        return self.accelerator.infer_events(events, **options)

    def classify(self, images: npt.NDArray[Any], top: int = 5) -> list[list[tuple[str, float]]]:
        """Return labels and probabilities; see `Accelerator.classify`."""
        return self.accelerator.classify(images, top)

    @property
    def last_run(self) -> RunReport:
        """Figures of the last call; see `Accelerator.last_run`."""
        return self.accelerator.last_run

    def close(self) -> None:
        """Free all memory and give the board back; safe to call twice."""
        if self._accelerator is not None:
            accelerator, self._accelerator = self._accelerator, None
            accelerator.close()

    def __enter__(self) -> SnnCore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

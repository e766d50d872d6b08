"""An evaluation spread over several boards or computers with dask.distributed.

Each worker opens the best device that it has, computes shares of the pictures, and sends back sums. Every device
computes the same bits, so the result is that of one machine. A share whose worker is lost is computed again by another.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from pynq_snn import __version__
from pynq_snn.accelerator import DEFAULT_TIMEOUT_S, Accelerator
from pynq_snn.errors import DeviceError, PynqSnnError
from pynq_snn.evaluation import Share, Tally, count_share
from pynq_snn.models import find_model
from pynq_snn.network import Network
from pynq_snn.onnx_reader import parse_onnx
from pynq_snn.program import Program, compile_network

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_TIMEOUT_S = 10.0
WORKER_TIMEOUT_S = 30.0  # for the first worker to appear
SHARES_AHEAD = 4  # per worker: it never waits for the network, and little is lost with it


class Workers(NamedTuple):
    """What stands in the place of a device: its name, and which devices computed how many shares."""

    name: str
    description: str


@dataclass(frozen=True)
class Settings:
    """What a worker needs beside a model's bytes to compute a share."""

    path: str
    sha256: str
    device: str
    timesteps: int | None
    firing: str | None
    timeout_s: float


class Cluster:
    """The workers of a dask scheduler, in the place of one accelerator in `pynq_snn.evaluation.evaluate`.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://192.168.2.1:8786``.
    model : str or Path
        Name of a shipped model, or path of an ONNX file; only this machine needs it.
    device : str
        What each worker opens; "auto" is the best that it has.
    timesteps, firing : optional
        As for `Accelerator.load`.
    timeout_s : float
        Longest time for one run of a core.

    Attributes
    ----------
    network : Network
    program : Program

    Raises
    ------
    DeviceError
        dask.distributed is missing, nothing answers at `address`, or it has no workers.
    ModelError
        As for `Accelerator.load`.
    """

    def __init__(
        self,
        address: str,
        model: str | Path,
        *,
        device: str = "auto",
        timesteps: int | None = None,
        firing: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        path = find_model(model)
        self.network: Network = Network.from_onnx(path, timesteps=timesteps, firing=firing)
        self.program: Program = compile_network(self.network)
        self.address = address
        self._model = path.read_bytes()
        digest = hashlib.sha256(self._model).hexdigest()
        self._settings = Settings(str(path), digest, device, timesteps, firing, timeout_s)
        self._shares_by_device: Counter[str] = Counter()
        self.client = _connect(address)
        try:
            self.client.wait_for_workers(1, timeout=WORKER_TIMEOUT_S)
        except TimeoutError as error:
            self.client.close()
            raise DeviceError(
                f"{address}: no worker within {WORKER_TIMEOUT_S:.0f} s; start one: dask worker {address}"
            ) from error

    @property
    def device(self) -> Workers:
        """Who computed so far."""
        shares = ", ".join(f"{count} shares by {name}" for name, count in sorted(self._shares_by_device.items()))
        return Workers("cluster", f"dask workers of {self.address} ({shares or 'nothing computed yet'})")

    def count_shares(self, shares: Iterator[Share], batch: int) -> Iterator[Tally]:
        """Yield what each share counted, in their order.

        Raises
        ------
        DeviceError
            A worker failed, has another version, or several workers were lost over one share.
        """
        model = self.client.submit(_same, self._model, key=f"pynq-snn-model-{self._settings.sha256}")
        running: deque[Future] = deque()
        try:
            for share in shares:
                running.append(self.client.submit(_count_on_worker, model, self._settings, share, batch, pure=False))
                while len(running) >= SHARES_AHEAD * self._workers():
                    yield self._result(running.popleft())
            while running:
                yield self._result(running.popleft())
        finally:
            self.client.cancel(list(running))

    def _workers(self) -> int:
        return max(1, len(self.client.scheduler_info()["workers"]))

    def _result(self, future: Future) -> Tally:
        patience = WORKER_TIMEOUT_S + self._settings.timeout_s * (SHARES_AHEAD + 1)
        try:
            tally, device, version = future.result(timeout=patience)
        except PynqSnnError:
            raise
        except TimeoutError as error:
            raise DeviceError(
                f"{self.address}: no answer within {patience:.0f} s; look at its workers, or give more --timeout"
            ) from error
        except Exception as error:  # whatever a worker's Python raised, and dask's own
            raise DeviceError(f"a worker failed: {type(error).__name__}: {error}; look at its log") from error
        if version != __version__:
            raise DeviceError(
                f"a worker has pynq-snn {version}, this machine {__version__}; install the same version on both"
            )
        self._shares_by_device[device] += 1
        return tally

    def close(self) -> None:
        """Let the workers free their devices, and leave the scheduler. Calling it again does nothing."""
        if self.client.status == "running":
            self.client.run(_close_all)
        self.client.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise DeviceError("--scheduler needs dask.distributed; pip install 'pynq-snn[cluster]'") from error
    try:
        return Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise DeviceError(
            f"{address}: no dask scheduler answers ({error}); start one with `dask scheduler`, or correct the address"
        ) from error


# --- on a worker ------------------------------------------------------------------------------------------------------


class _Opened:
    """The accelerator that a worker process keeps between shares: loading costs more than computing one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # a worker may have several threads, an accelerator has one last run
        self.settings: Settings | None = None
        self.accelerator: Accelerator | None = None

    def get(self, model: bytes, settings: Settings) -> Accelerator:
        if self.accelerator is None or self.settings != settings:
            self.close()
            network = Network.from_onnx(
                parse_onnx(model, settings.path), timesteps=settings.timesteps, firing=settings.firing
            )
            accelerator = Accelerator(settings.device, timeout_s=settings.timeout_s)
            self.settings, self.accelerator = settings, accelerator
            accelerator.load(network)
        return self.accelerator

    def close(self) -> None:
        accelerator, self.accelerator, self.settings = self.accelerator, None, None
        if accelerator is not None:
            accelerator.close()


_opened = _Opened()


def _same(value: bytes) -> bytes:
    """Return a value, as a task that the scheduler can do again when the worker that held its result is lost."""
    return value


def _count_on_worker(model: bytes, settings: Settings, share: Share, batch: int) -> tuple[Tally, str, str]:
    with _opened.lock:
        try:
            accelerator = _opened.get(model, settings)
            return count_share(accelerator, share, batch), accelerator.device.name, __version__
        except BaseException:
            _opened.close()
            raise


def _close_all() -> None:
    with _opened.lock:
        _opened.close()

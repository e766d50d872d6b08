"""An evaluation spread over dask workers counts what one machine counts, whatever happens to the workers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn import cluster
from pynq_snn.accelerator import Accelerator
from pynq_snn.cli import main
from pynq_snn.cluster import Cluster
from pynq_snn.datasets import Dataset
from pynq_snn.errors import DeviceError
from pynq_snn.evaluation import Tally, evaluate

distributed = pytest.importorskip("distributed", reason="needs dask.distributed (extra cluster)")

BATCH = 5


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    """Start a scheduler and two worker processes."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0", silence_logs=50
    ) as local:
        yield local


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Return pictures in another size than the network's, so that they are fitted too."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (203, 14, 10, 3), np.uint8)
    return Dataset(images, generator.integers(0, 3, 203), ())


def alone(model: Path, dataset: Dataset) -> Tally:
    with Accelerator("kernel") as accelerator:
        accelerator.load(model)
        return list(evaluate(accelerator, dataset))[-1]


def sums(tally: Tally) -> tuple[int, ...]:
    """Return all but the latency, which is measured."""
    return tally.count, tally.correct, tally.spikes, tally.synaptic_operations


def test_equals_one_machine(workers: Any, model_file: Path, dataset: Dataset) -> None:
    with Cluster(workers.scheduler_address, model_file, device="kernel") as several:
        tallies = list(evaluate(several, dataset, batch=BATCH))
    assert [tally.count for tally in tallies] == [*range(0, 203, BATCH), 203]
    assert sums(tallies[-1]) == sums(alone(model_file, dataset))
    assert "41 shares by kernel" in several.device.description


def test_a_killed_workers_share_is_done_again(workers: Any, model_file: Path, dataset: Dataset) -> None:
    with Cluster(workers.scheduler_address, model_file, device="kernel") as several:
        tallies = evaluate(several, dataset, batch=BATCH)
        seen = [next(tallies) for _ in range(4)]
        victim = sorted(several.client.run(os.getpid).values())[0]
        os.kill(victim, signal.SIGKILL)
        seen += tallies
        survivors = set(several.client.run(os.getpid).values())
    assert sums(seen[-1]) == sums(alone(model_file, dataset))
    assert victim not in survivors


def test_an_error_on_a_worker_is_told(workers: Any, model_file: Path, dataset: Dataset) -> None:
    hurried = Cluster(workers.scheduler_address, model_file, device="kernel", timeout_s=1e-9)
    with hurried, pytest.raises(DeviceError, match="did not finish within"):
        list(evaluate(hurried, dataset))


def test_another_version_is_refused(
    workers: Any, model_file: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    several = Cluster(workers.scheduler_address, model_file, device="kernel")
    with several, pytest.raises(DeviceError, match=r"a worker has pynq-snn .*, this machine 0\.0\.1; install the same"):
        list(evaluate(several, dataset))


def test_a_scheduler_without_workers(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WORKER_TIMEOUT_S", 0.2)
    local = distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0")
    with local, pytest.raises(DeviceError, match="no worker within"):
        Cluster(local.scheduler_address, model_file)


def test_no_scheduler(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT_S", 0.2)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        with pytest.raises(DeviceError, match="no dask scheduler answers"):
            Cluster(address, model_file)


def test_command_line(
    workers: Any, model_file: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "data.npz", images=np.asarray(dataset.images), labels=dataset.labels)
    arguments = ["eval", str(model_file), "--data", str(tmp_path / "data.npz"), "--json"]
    assert main([*arguments, "--scheduler", workers.scheduler_address, "--device", "kernel"]) == 0
    together = json.loads(capsys.readouterr().out)
    assert main([*arguments, "--device", "kernel"]) == 0
    single = json.loads(capsys.readouterr().out)
    assert together == {**single, "device": "cluster"}

"""The driver: loading, results, errors, time-outs, threads, and memory."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from pynq_snn import layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available, open_device
from pynq_snn.devices.interface import Buffer
from pynq_snn.devices.reference import ReferenceDevice
from pynq_snn.devices.simulated import SimulatedDevice
from pynq_snn.errors import DeviceError, DeviceTimeout, ProgramError
from pynq_snn.evaluation import Share, count_share
from pynq_snn.layout import ErrorCode
from pynq_snn.network import Network, integrate
from tests.networks import from_events, plain, random_input, strided_and_pooled, to_events

DEVICES = [name for name in ("reference", "kernel") if available()[name] is None]


@pytest.fixture(scope="module")
def network() -> Network:
    return integrate(plain(timesteps=2, firing="stepwise"))


class StuckDevice(ReferenceDevice):
    """Never finishes until it is told to stop."""

    name = "stuck"
    stuck = True

    def execute(self) -> None:
        while self.stuck and not self.abort[0]:
            time.sleep(0.005)
        if self.abort[0]:
            self._set("error_code", ErrorCode.ABORTED)
        else:
            super().execute()


class FaultyMemory(ReferenceDevice):
    """Loses one bit of whatever is written first."""

    def allocate(self, nbytes: int) -> Buffer:
        device = self

        class Faulty(Buffer):
            def invalidate(self) -> None:
                self.array[device.words[0] : 1] ^= 1

        whole = super().allocate(nbytes)
        return Faulty(whole.array, whole.address, whole.free)


class FullMemory(ReferenceDevice):
    """Has memory for the program and nothing else."""

    allocations = 0

    def allocate(self, nbytes: int) -> Buffer:
        self.allocations += 1
        if self.allocations > 2:
            raise DeviceError(f"no memory for {nbytes} bytes; free some")
        return super().allocate(nbytes)


def test_a_batch_equals_single_images(network: Network) -> None:
    images = random_input(network, 5, 7)
    for name in DEVICES:
        with Accelerator(name) as accelerator:
            accelerator.load(network)
            single = np.stack([accelerator.infer(image) for image in images])
            operations = accelerator.last_run.synaptic_operations
            for batch in (1, 3, 16):
                assert np.array_equal(accelerator.infer(images, batch=batch), single)
            assert accelerator.last_run.images == 7
            assert accelerator.last_run.synaptic_operations > operations


def test_counters_add_up(network: Network) -> None:
    images = random_input(network, 5, 3)
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        parts = []
        for image in images:
            accelerator.infer(image)
            parts.append((accelerator.last_run.spikes, accelerator.last_run.synaptic_operations))
        accelerator.infer(images)
        report = accelerator.last_run
        assert (report.spikes, report.synaptic_operations) == tuple(sum(column) for column in zip(*parts, strict=True))


def test_no_images(network: Network) -> None:
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        assert accelerator.infer(np.zeros((0, 7, 9, 3), np.uint8)).shape == (0, 10)


@pytest.mark.parametrize("name", DEVICES)
def test_loading_another_network(name: str, network: Network) -> None:
    other = integrate(strided_and_pooled(timesteps=3))
    images, other_images = random_input(network, 5, 2), random_input(other, 6, 2)
    with Accelerator(name) as accelerator:
        accelerator.load(network)
        first = accelerator.infer(images)
        accelerator.load(other)
        assert accelerator.infer(other_images).shape == (2, 5)
        accelerator.load(network)
        assert np.array_equal(accelerator.infer(images), first)


@pytest.mark.parametrize("name", DEVICES)
def test_events_stream_in_windows(name: str) -> None:
    network = integrate(from_events(timesteps=4))
    windows = [to_events(item) for item in random_input(network, 8, 3)]
    with Accelerator(name) as accelerator:
        accelerator.load(network)
        together = accelerator.infer_events(windows)
        streamed = list(accelerator.stream_events(iter(windows)))
        assert np.array_equal(together, np.stack(streamed))
        assert len(set(map(tuple, together.tolist()))) == 3


@pytest.mark.parametrize("name", DEVICES)
def test_all_memory_is_given_back(name: str, network: Network) -> None:
    device = open_device(name)
    assert isinstance(device, SimulatedDevice)
    with Accelerator(device) as accelerator:
        accelerator.load(network)
        accelerator.infer(random_input(network, 5, 2))
        assert device.memory.buffers == 4
        with pytest.raises(ProgramError):
            accelerator.infer(np.zeros((1, 2, 2, 3), np.uint8))
        assert device.memory.buffers == 4
    assert device.memory.buffers == 0
    accelerator.close()
    with pytest.raises(DeviceError, match="closed"):
        accelerator.load(network)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 7, 9, 3)), "images are float64"),
        (np.zeros((1, 9, 7, 3), np.uint8), r"\[1, 9, 7, 3\]; test reads uint8 \[N, 7, 9, 3\]"),
        (np.zeros((7, 9), np.uint8), r"\[7, 9\]"),
        (np.zeros((1, 1, 7, 9, 3), np.uint8), r"\[1, 1, 7, 9, 3\]"),
    ],
)
def test_images_that_do_not_fit(network: Network, images: np.ndarray, message: str) -> None:
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        with pytest.raises(ProgramError, match=message):
            accelerator.infer(images)


def test_calls_in_the_wrong_order(network: Network) -> None:
    with Accelerator("reference") as accelerator:
        with pytest.raises(ProgramError, match="no network is loaded"):
            accelerator.infer(random_input(network, 5, 1))
        with pytest.raises(ProgramError, match="nothing has run"):
            _ = accelerator.last_run
        accelerator.load(network)
        with pytest.raises(ProgramError, match=r"reads pixels; use infer\(\)"):
            accelerator.infer_events(np.zeros((0, 4), int))
        with pytest.raises(ProgramError, match="keep_maps=True"):
            accelerator.spike_map("layer0")
        with pytest.raises(ProgramError, match="batch=0"):
            accelerator.infer(random_input(network, 5, 1), batch=0)


def test_a_device_that_never_finishes(network: Network) -> None:
    device = StuckDevice()
    images = random_input(network, 5, 1)
    with Accelerator(device, timeout_s=0.05) as accelerator:
        accelerator.load(network)
        begin = time.monotonic()
        with pytest.raises(DeviceTimeout, match="did not finish within 0.05 s"):
            accelerator.infer(images)
        assert time.monotonic() - begin < 5
        assert device.read_named("control") & layout.CONTROL_IDLE
        device.stuck = False
        accelerator.timeout_s = 30
        assert accelerator.infer(images).shape == (1, 10)


def test_memory_that_loses_bits(network: Network) -> None:
    with (
        Accelerator(FaultyMemory()) as accelerator,
        pytest.raises(DeviceError, match="1 of .* program bytes read back differently, the first at 0x0"),
    ):
        accelerator.load(network)


def test_too_little_memory(network: Network) -> None:
    device = FullMemory()
    with Accelerator(device) as accelerator:
        accelerator.load(network)
        with pytest.raises(DeviceError, match="no memory"):
            accelerator.infer(random_input(network, 5, 1))
        device.allocations = -10
        assert accelerator.infer(random_input(network, 5, 1)).shape == (1, 10)
    assert device.memory.buffers == 0


def test_the_simulated_memory_says_what_is_left() -> None:
    device = ReferenceDevice(memory_bytes=1 << 20)
    kept = device.allocate(1000)
    with pytest.raises(DeviceError, match="no 1048576 bytes in one piece .1024 of 1048576 in use"):
        device.allocate(1 << 20)
    kept.free()
    kept.free()
    device.allocate(1 << 20).free()


@pytest.mark.parametrize(("register", "value", "message"), [
    ("core_id", 7, "answers with ID 0x00000007"), ("core_version", 9, "runs programs of version 9"),
])  # fmt: skip
def test_another_core(register: str, value: int, message: str) -> None:
    device = ReferenceDevice()
    device._set(register, value)
    with pytest.raises(DeviceError, match=message):
        Accelerator(device)


@pytest.mark.parametrize("name", DEVICES)
def test_threads_share_an_accelerator(name: str, network: Network) -> None:
    images = random_input(network, 5, 8)
    with Accelerator(name) as accelerator:
        accelerator.load(network)
        expected = accelerator.infer(images)
        wrong: list[int] = []

        def work(index: int) -> None:
            for _ in range(10):
                if not np.array_equal(accelerator.infer(images[index]), expected[index]):
                    wrong.append(index)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_unknown_device() -> None:
    with pytest.raises(DeviceError, match="device 'fpga' is not known; use one of"):
        open_device("fpga")


def test_probabilities(network: Network) -> None:
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        images = random_input(network, 5, 2)
        logits = accelerator.infer(images)
        results = accelerator.classify(images, top=10)
        for row, result in zip(network.scores(logits), results, strict=True):
            assert result[0][0] == network.labels[int(row.argmax())]
            assert sum(probability for _, probability in result) == pytest.approx(1)
            assert [p for _, p in result] == sorted((p for _, p in result), reverse=True)


def test_evaluation_compares_scores_where_logits_of_classes_differ_in_unit() -> None:
    trained = plain()
    readout = trained.layers[-1]
    branch = replace(readout.branches[0], scale=np.linspace(0.001, 0.05, len(readout.offset)))
    network = integrate(replace(trained, layers=(*trained.layers[:-1], replace(readout, branches=(branch,)))))
    pixels = random_input(network, 1, 20)
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        logits = accelerator.infer(pixels)
        labels = network.scores(logits).argmax(axis=1)
        assert (labels != logits.argmax(axis=1)).any()
        assert count_share(accelerator, Share(pixels, labels), 8).correct == len(labels)

"""The board device over the real pynq, on a stand-in for the FPGA: the same bits as every other device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pynq_snn import layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available
from pynq_snn.network import Network, integrate
from pynq_snn.overlay import block_design
from pynq_snn.overlay.files import OverlayFiles
from tests.board.conftest import BUILD_HASH, CLOCK_MHZ, Opener, write_overlay
from tests.networks import EXAMPLES, random_input, residual, to_events

pynq = pytest.importorskip("pynq", reason="pynq is not installed here; `make test-board` does it")
from tests.board.fpga import Fpga  # noqa: E402  only where there is pynq

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(available()["kernel"] is not None, reason="the kernel device is not built here"),
]


def infer(accelerator: Accelerator, network: Network, inputs: np.ndarray) -> np.ndarray:
    accelerator.load(network, keep_maps=True)
    if network.input_kind == "pixels":
        return accelerator.infer(inputs, batch=2)
    return accelerator.infer_events([to_events(item) for item in inputs], batch=2)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_kind_equals_the_kernel(name: str, open_board: Opener) -> None:
    network = integrate(EXAMPLES[name]())
    inputs = random_input(network, 4, 3)
    results = []
    for device in (open_board(), "kernel"):
        with Accelerator(device) as accelerator:
            logits = infer(accelerator, network, inputs)
            maps = [accelerator.spike_map(layer.name) for layer in network.layers[:-1]]
            results.append((logits, maps, accelerator.last_run.layers))
    (logits, maps, counters), (expected, expected_maps, expected_counters) = results
    assert np.array_equal(logits, expected) and counters == expected_counters
    assert all(np.array_equal(*pair) for pair in zip(maps, expected_maps, strict=True))


def test_the_shipped_network(open_board: Opener, shipped_model: Path) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, 32, 32, 3), np.uint8)
    results = []
    for device in (open_board(), "kernel"):
        with Accelerator(device) as accelerator:
            accelerator.load(shipped_model)
            results.append(accelerator.infer(images))
            report = accelerator.last_run
            if device != "kernel":
                assert (report.device, report.cycles_are) == ("board", "measured on the board")
    assert np.array_equal(results[0], results[1])


def test_an_overlay_that_is_only_looked_at(fpga: Fpga, overlay: OverlayFiles) -> None:
    """Overlay(..., download=False) touches nothing and finds everything."""
    opened = pynq.Overlay(str(overlay.bitstream), download=False)
    assert (opened.ip_dict["snn"]["phys_addr"], opened.ip_dict["snn"]["driver"]) == (0x43C0_0000, type(opened.snn))
    assert set(opened.ip_dict["snn"]["registers"]) == {register.name for register in layout.REGISTERS}
    assert opened.clock_dict[0]["divisor0"] * opened.clock_dict[0]["divisor1"] == 21
    system = opened.systemgraph.blocks[block_design.PROCESSING_SYSTEM]
    (pin,) = system.get_irqs["IRQ_F2P"]._connections.values()
    assert (pin.parent().parent().name, system.irq_map[0]) == ("snn", block_design.INTERRUPT_NUMBER)
    for port in block_design.MEMORY_PORTS:
        assert system.parameters[f"PCW_{port.system_port}_DATA_WIDTH"].value == "64"
    assert fpga.downloads == 0


def test_pynq_style(fpga: Fpga, open_board: Opener, shipped_model: Path, tmp_path: Path,
                    monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Overlay(...).snn.infer(...), register_map, and no second download behind the overlay's back."""
    monkeypatch.setattr("pynq_snn.devices.board.device.default_lock_file", lambda: tmp_path / "lock")
    files = write_overlay(tmp_path / "overlays")
    overlay = pynq.Overlay(str(files.bitstream))
    assert overlay.ip_dict["snn"]["type"] == block_design.CORE_VLNV
    images = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), np.uint8)
    with Accelerator("kernel") as accelerator:
        accelerator.load(shipped_model)
        expected, labels = accelerator.infer(images), accelerator.classify(images)
    with overlay.snn as snn:
        registers = snn.register_map
        assert int(registers.core_id) == layout.CORE_ID
        assert registers.control.idle == 1
        snn.load(shipped_model)
        assert np.array_equal(snn.infer(images), expected)
        assert snn.classify(images) == labels
        assert snn.last_run.images == 2
        assert int(registers.program_address) == snn.accelerator.device.read_named("program_address")
        assert registers.error_detail.layer == 0
    snn.close()
    assert fpga.downloads == 1 and overlay.is_loaded()
    assert np.array_equal(overlay.snn.load(shipped_model) and overlay.snn.infer(images), expected)
    overlay.snn.close()


def test_events_in_pynq_style(fpga: Fpga, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynq_snn.devices.board.device.default_lock_file", lambda: tmp_path / "lock")
    network = integrate(EXAMPLES["from_events"]())
    events = to_events(random_input(network, 1, 1)[0])
    with pynq.Overlay(str(write_overlay(tmp_path / "overlays").bitstream)).snn as snn:
        snn.load(network)
        found = snn.infer_events(events)
    with Accelerator("kernel") as accelerator:
        accelerator.load(network)
        assert np.array_equal(found, accelerator.infer_events(events))


def test_it_downloads_only_what_is_not_there(fpga: Fpga, open_board: Opener) -> None:
    first = open_board()
    assert (first.downloads, first.build_hash) == (1, BUILD_HASH)
    first.close()
    second = open_board()
    assert (second.downloads, fpga.downloads) == (0, 1)
    second.reload()
    assert (second.downloads, fpga.downloads) == (1, 2)


def test_another_overlay_in_between(fpga: Fpga, open_board: Opener, tmp_path: Path) -> None:
    open_board().close()
    other = write_overlay(tmp_path / "other", core_id=0xBADC0DE, build_hash=1)
    pynq.Overlay(str(other.bitstream))
    assert open_board().downloads == 1


def test_a_restart_of_the_board(fpga: Fpga, open_board: Opener, monkeypatch: pytest.MonkeyPatch,
                                tmp_path: Path) -> None:  # fmt: skip
    """After a restart the FPGA is empty, whatever notes there are: nothing may be read before the download."""
    open_board().close()
    fpga.switch_off()
    (tmp_path / "boot_id").write_text("another\n")
    monkeypatch.setattr("pynq_snn.devices.board.fabric.BOOT_ID", tmp_path / "boot_id")
    assert open_board().downloads == 1


def test_the_clock_is_set_read_back_and_never_too_fast_in_between(fpga: Fpga, open_board: Opener) -> None:
    device = open_board()
    assert device.clock_mhz == pytest.approx(CLOCK_MHZ) == fpga.clock_mhz
    fpga.clocks_seen.clear()
    assert device.set_clock(20.0) == pytest.approx(20.0)
    assert device.set_clock(40.1) == pytest.approx(40.0)
    assert max(fpga.clocks_seen) == pytest.approx(40.0)
    assert "40.00 MHz" in device.description
    device.close()
    assert open_board(clock_mhz=25.0).clock_mhz == pytest.approx(25.0)


def test_the_memory_ports_are_made_64_bits_wide(fpga: Fpga, open_board: Opener) -> None:
    assert fpga.system[0xF800_8000] == fpga.system[0xF800_9014] == 1
    open_board()
    assert fpga.system[0xF800_8000] == fpga.system[0xF800_9000] == 0
    assert fpga.system[0xF800_8014] == fpga.system[0xF800_9014] == 0


def test_the_end_of_a_run_comes_as_an_interrupt(fpga: Fpga, open_board: Opener) -> None:
    network = integrate(residual())
    device = open_board()
    with Accelerator(device) as accelerator:
        accelerator.load(network)
        for _ in range(5):
            accelerator.infer(random_input(network, 1, 1))
        assert device.waits_for == "interrupt"
        assert fpga.interrupt.fired == 5


def test_memory_comes_back(fpga: Fpga, open_board: Opener) -> None:
    device = open_board()
    buffer = device.allocate(1000)
    assert buffer.array.shape == (1000,) and not buffer.array.any()
    assert buffer.address % layout.ALIGNMENT == 0
    buffer.array[:] = 7
    buffer.flush()
    buffer.array[:] = 0
    buffer.invalidate()
    assert (buffer.array == 7).all()
    assert device.buffers == fpga.buffers == 1
    buffer.free()
    buffer.free()
    assert device.buffers == fpga.buffers == buffer.array.size == 0
    device.allocate(10)
    device.close()
    device.close()
    assert fpga.buffers == 0

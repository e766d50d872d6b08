"""The description of the overlay, and how the real pynq reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynq_snn import layout
from pynq_snn.overlay import block_design, hwh
from tests.conftest import ROOT

OVERLAYS = ROOT / "overlays"


def test_the_description_is_current() -> None:
    written = (OVERLAYS / hwh.HWH_NAME).read_text("utf-8")
    assert written == hwh.hwh_text(hwh.current_clock_mhz(OVERLAYS)), "run: python -m pynq_snn.overlay.hwh"


def test_it_is_written_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text('{"build_hash": "0x01", "clock_mhz": 25.0}')
    monkeypatch.setattr("sys.argv", ["hwh", str(tmp_path)])
    hwh.main()
    assert (tmp_path / hwh.HWH_NAME).read_text() == hwh.hwh_text(25.0)


def test_every_wire_has_its_other_end() -> None:
    root = ElementTree.fromstring(hwh.hwh_text(50.0))
    modules = {module.get("INSTANCE"): module for module in root.iter("MODULE")}
    ends = 0
    for module in modules.values():
        for port in module.iter("PORT"):
            connection = port.find("CONNECTIONS/CONNECTION")
            assert connection is not None
            other = modules[connection.get("INSTANCE")].find(f"PORTS/PORT[@NAME='{connection.get('PORT')}']")
            assert other is not None and other.get("SIGNAME") == port.get("SIGNAME")
            assert {other.get("DIR"), port.get("DIR")} == {"I", "O"}
            ends += 1
    assert ends > 100


@given(st.floats(0.5, 1000))
def test_divisors_never_give_a_faster_clock(clock_mhz: float) -> None:
    first, second = block_design.clock_divisors(clock_mhz)
    made = block_design.CLOCK_SOURCE_MHZ / (first * second)
    assert made <= clock_mhz * (1 + 1e-6)
    next_faster = block_design.CLOCK_SOURCE_MHZ / max(1, first * second - 1)
    assert next_faster > clock_mhz * 0.98 or first * second > block_design.MAX_DIVISOR  # not every product exists


def test_a_clock_that_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="the slowest is 0.252 MHz"):
        block_design.clock_divisors(0.1)


def read_with_pynq(text: str, folder: Path) -> Any:
    pytest.importorskip("pynq", reason="pynq is not installed here; `make test-board` does it")
    from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
    from pynqmetadata.frontends import Metadata

    (folder / hwh.HWH_NAME).write_text(text)
    return RuntimeMetadataParser(Metadata(input=str(folder / hwh.HWH_NAME)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pynq_finds_core_registers_clocks_ports_and_interrupt(tmp_path: Path) -> None:
    found = read_with_pynq(hwh.hwh_text(1000 / 21), tmp_path)
    core = found.ip_dict["snn"]
    assert core["type"] == block_design.CORE_VLNV
    assert (core["phys_addr"], core["addr_range"]) == (0x43C0_0000, 0x1_0000)
    assert list(core["registers"]) == [register.name for register in layout.REGISTERS]
    for register in layout.REGISTERS:
        entry = core["registers"][register.name]
        assert (entry["address_offset"], entry["size"]) == (register.offset, register.bits)
        if register.fields:
            fields = {name: (field["bit_offset"], field["bit_width"]) for name, field in entry["fields"].items()}
            assert fields == {field.name: (field.bit, field.bits) for field in register.fields}
    clock = found.clock_dict[0]
    assert clock["enable"] == 1 and clock["divisor0"] * clock["divisor1"] == 21
    assert not any(found.clock_dict[index]["enable"] for index in (1, 2, 3))
    parameters = found.ip_dict[block_design.PROCESSING_SYSTEM]["parameters"]
    assert parameters["PCW_S_AXI_HP0_DATA_WIDTH"] == parameters["PCW_S_AXI_HP1_DATA_WIDTH"] == "64"
    system = found.md.get_processing_systems()[block_design.PROCESSING_SYSTEM]
    (pin,) = system.get_irqs["IRQ_F2P"]._connections.values()
    assert (pin.parent().parent().name, pin.name) == ("snn", "interrupt")
    assert system.irq_map[0] == block_design.INTERRUPT_NUMBER
    for port in block_design.MEMORY_PORTS:
        (other,) = system.ports[port.system_port].destinations().values()
        assert other.parent().name == "snn" and other.name == port.core_port


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pynq_2_style_parser_finds_the_interrupt(tmp_path: Path) -> None:
    """The parser for partial overlays lists interrupts that need no controller; the newer one does not."""
    read_with_pynq(hwh.hwh_text(50.0), tmp_path)
    from pynq.pl_server.hwh_parser import _HWHZynq

    found = _HWHZynq(hwh_name=str(tmp_path / hwh.HWH_NAME))
    assert found.interrupt_pins["snn/interrupt"]["raw_irq"] == block_design.INTERRUPT_NUMBER
    assert found.ip_dict["snn"]["interrupts"]["interrupt"]["index"] == 0

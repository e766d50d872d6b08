"""The declaration of the layout, and the files generated from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pynq_snn import layout
from pynq_snn.layout_writers import generated_files

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("path", generated_files(), ids=str)
def test_generated_files_are_current(path: Path) -> None:
    assert (ROOT / path).read_text() == generated_files()[path], "run: python -m pynq_snn.layout_writers"


def test_registers_follow_the_placement_of_vitis_hls() -> None:
    """Offsets that Vitis HLS gives: inputs of 64 bits take 12 bytes, of 32 bits 8, outputs 16, from 0x10."""
    offsets = layout.REGISTER_OFFSETS
    assert offsets["program_address"] == 0x10
    assert offsets["program_bytes"] == 0x1C
    assert offsets["input_address"] == 0x24
    assert offsets["images"] == 0x60
    assert offsets["core_id"] == 0x70
    assert offsets["core_version"] == 0x80


def test_registers_do_not_overlap() -> None:
    taken: set[int] = set()
    for register in layout.REGISTERS:
        words = {register.offset + 4 * i for i in range(register.bits // 32)}
        assert not taken & words, register.name
        assert max(words) < layout.REGISTER_SPACE_BYTES
        taken |= words


def test_records_hold_their_fields() -> None:
    assert 4 * len(layout.HEADER_FIELDS) <= layout.HEADER_BYTES
    assert 4 * len(layout.DESCRIPTOR_FIELDS) <= layout.DESCRIPTOR_BYTES
    assert 8 * len(layout.COUNTERS) <= layout.COUNTER_RECORD_BYTES
    assert 2 * len(layout.TAP_FIELDS) == layout.TAP_BYTES
    for size in (layout.HEADER_BYTES, layout.DESCRIPTOR_BYTES, layout.GROUP_HEADER_BYTES, layout.WEIGHT_BLOCK_BYTES):
        assert size % layout.ALIGNMENT == 0


@pytest.mark.parametrize(("timesteps", "planes"), [(1, 2), (2, 2), (3, 2), (4, 4), (8, 4), (15, 4), (16, 6), (32, 6)])
def test_planes_of_a_count(timesteps: int, planes: int) -> None:
    assert layout.count_planes(timesteps) == planes
    assert timesteps < 1 << planes

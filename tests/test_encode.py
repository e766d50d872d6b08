"""Packing of spike maps, weights and taps, against definitions written down bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pynq_snn import layout
from pynq_snn.encode import (
    MapLayout,
    PatchGeometry,
    binary_planes,
    encode_events,
    encode_pixels,
    pack_planes,
    spike_counts,
    unpack_planes,
)
from pynq_snn.errors import ProgramError
from pynq_snn.layout import Coding
from pynq_snn.network import integrate
from pynq_snn.program import compile_network, pack_taps, pack_weights
from tests.networks import EXAMPLES

SIDES = st.integers(1, 6)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.integers(1, 70), height=SIDES, width=SIDES, planes=st.sampled_from([2, 4, 8]), seed=st.integers(0, 99)
)
def test_maps_are_masks_of_32_channels(channels: int, height: int, width: int, planes: int, seed: int) -> None:
    target = MapLayout(channels, height, width, planes, Coding.TIMESTEPS)
    bits = np.random.default_rng(seed).random((planes, channels, height, width)) < 0.4
    packed = pack_planes(bits, target)
    assert packed.shape == (target.image_bytes,)
    assert np.array_equal(unpack_planes(packed, target), bits)
    p, c, y, x = (int(i) for i in np.random.default_rng(seed).integers(0, bits.shape))
    address = (c // 32) * target.block_bytes + y * target.row_bytes + (x * planes + p) * 4
    mask = int(packed[address : address + 4].view("<u4")[0])
    assert mask >> (c % 32) & 1 == int(bits[p, c, y, x])
    used = sum(target.row_bytes * target.height for _ in range(target.blocks)) * 8
    assert np.unpackbits(packed).sum() == bits.sum() <= used


@given(hnp.arrays(np.uint8, (3, 4)))
def test_binary_planes_are_bits_most_significant_first(values: np.ndarray) -> None:
    planes = binary_planes(values, 8)
    assert np.array_equal(planes[0], values >= 128)
    assert np.array_equal(planes[7], values % 2 == 1)
    assert np.array_equal(spike_counts(planes, Coding.BINARY), values)


@settings(max_examples=30, deadline=None)
@given(
    kernel=st.integers(1, 7), stride=st.integers(1, 2), padding=st.integers(0, 3),
    height=st.integers(7, 12), width=st.integers(7, 12), channels=st.integers(1, 3),
)  # fmt: skip
def test_patches(kernel: int, stride: int, padding: int, height: int, width: int, channels: int) -> None:
    image = np.random.default_rng(kernel).integers(0, 256, (height, width, channels), np.uint8)
    mean = (125, 123, 114)[:channels]
    rows = (height + 2 * padding - kernel) // stride + 1
    columns = (width + 2 * padding - kernel) // stride + 1
    target = MapLayout(channels * kernel * kernel, rows, columns, 8, Coding.BINARY)
    packed = encode_pixels(image, target, PatchGeometry(kernel, kernel, stride, padding), mean)
    values = spike_counts(unpack_planes(packed, target), Coding.BINARY)
    for y, x, ky, kx, c in [(0, 0, 0, 0, 0), (rows - 1, columns - 1, kernel - 1, kernel - 1, channels - 1)]:
        row, column = y * stride + ky - padding, x * stride + kx - padding
        inside = 0 <= row < height and 0 <= column < width
        expected = image[row, column, c] if inside else mean[c]
        assert values[(ky * kernel + kx) * channels + c, y, x] == expected


def test_events() -> None:
    target = MapLayout(40, 4, 5, 4, Coding.TIMESTEPS)
    events = np.array([[0, 1, 2, 3], [2, 3, 4, 39], [0, 1, 2, 3]])
    planes = unpack_planes(encode_events(events, target, 3), target)
    assert planes.sum() == 2
    assert planes[0, 3, 1, 2] and planes[2, 39, 3, 4]
    assert encode_events(np.zeros((0, 4), np.int64), target, 3).sum() == 0


@pytest.mark.parametrize("bad", [[3, 0, 0, 0], [-1, 0, 0, 0], [0, 4, 0, 0], [0, 0, 5, 0], [0, 0, 0, 40]])
def test_events_outside_the_input_are_refused(bad: list[int]) -> None:
    target = MapLayout(40, 4, 5, 4, Coding.TIMESTEPS)
    with pytest.raises(ProgramError, match=r"event 1 \(t, y, x, channel\) = .* is outside \[3, 4, 5, 40\]"):
        encode_events(np.array([[0, 0, 0, 0], bad]), target, 3)


@pytest.mark.parametrize("bad", [np.zeros((2, 3), int), np.zeros((2, 4)), np.zeros(4, int)])
def test_events_of_the_wrong_form_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ProgramError, match="expected integers"):
        encode_events(bad, MapLayout(1, 4, 5, 4, Coding.TIMESTEPS), 3)


@settings(max_examples=30, deadline=None)
@given(outputs=st.integers(1, 70), inputs=st.integers(1, 70), kernel=st.integers(1, 3), seed=st.integers(0, 99))
def test_weights(outputs: int, inputs: int, kernel: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.integers(-128, 128, (outputs, inputs, kernel, kernel)).astype(np.int8)
    packed = pack_weights(weights)
    blocks = -(-inputs // 32)
    assert packed.shape == (-(-outputs // 32), kernel * kernel * blocks, 32, 32)
    o, i, y, x = (int(v) for v in random.integers(0, weights.shape))
    assert packed[o // 32, (y * kernel + x) * blocks + i // 32, i % 32, o % 32] == weights[o, i, y, x]
    assert np.abs(packed.astype(int)).sum() == np.abs(weights.astype(int)).sum()


def test_taps() -> None:
    raw = pack_taps([(-1, 2, 65535, 1), (3, -4, 7, 0)])
    assert raw.view("<i2").tolist() == [-1, 2, -1, 1, 3, -4, 7, 0]


@pytest.mark.parametrize("name", EXAMPLES)
def test_maps_that_live_together_do_not_overlap(name: str) -> None:
    network = integrate(EXAMPLES[name](timesteps=1, firing="deferred"))
    program = compile_network(network)
    places = list(program.maps.values())
    for index, layer in enumerate(network.layers):
        readers = {i: max(j for j, other in enumerate(network.layers) if i in other.sources) for i in range(index)}
        alive = [i for i, last in readers.items() if last >= index] + ([index] if layer.kind != "readout" else [])
        spans = sorted((places[i].offset, places[i].offset + places[i].layout.image_bytes) for i in alive)
        assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
        assert all(end <= program.workspace_bytes and start % layout.ALIGNMENT == 0 for start, end in spans)

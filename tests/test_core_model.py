"""The model of the core's weight banks, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.core_model import ONE_QUEUE, Organisation, Source, Work, compute_cycles

LOCK_STEP = Organisation()


def work_of(planes: np.ndarray, taps: list[tuple[int, int]], outputs: int = 32) -> Work:
    _, _, height, width = planes.shape
    source = Source(planes, taps, (1, 1), list(range(len(taps))))
    return Work("layer", [source], outputs, (height, width), 0, 0, 0, 0)


def by_hand(planes: np.ndarray, taps: list[tuple[int, int]]) -> int:
    """Return the cycles in lock step: for each word the fullest bank's rows, two in a cycle."""
    pairs = planes[0::2] | planes[1::2]
    total = 0
    for y, x in np.ndindex(planes.shape[2:]):
        for pair in pairs:
            for dy, dx in taps:
                if 0 <= y + dy < planes.shape[2] and 0 <= x + dx < planes.shape[3]:
                    for word in pair[:, y + dy, x + dx].reshape(-1, 32):
                        total += max(-(-int(word[bank::8].sum()) // 2) for bank in range(8))
    return total


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.6))
def test_lock_step_is_what_counting_by_hand_gives(seed: int, rate: float) -> None:
    planes = np.random.default_rng(seed).random((4, 64, 3, 2)) < rate
    taps = [(-1, 0), (0, 0), (0, 1)]
    assert compute_cycles(LOCK_STEP, work_of(planes, taps)) == by_hand(planes, taps)


@given(st.integers(0, 2**32 - 1))
def test_queues_only_help_and_never_beat_the_fullest_bank(seed: int) -> None:
    planes = np.random.default_rng(seed).random((2, 64, 2, 2)) < 0.3
    work = work_of(planes, [(0, 0), (1, 0)])
    cycles = [compute_cycles(Organisation(queue=queue), work) for queue in (1, 2, 4, ONE_QUEUE)]
    assert cycles == sorted(cycles, reverse=True)
    rows = int((planes[0] | planes[1]).sum())  # at (0, 0), each once
    assert cycles[-1] * LOCK_STEP.banks * LOCK_STEP.ports >= rows


@pytest.mark.parametrize("outputs, groups", [(1, 1), (32, 1), (33, 2), (512, 16)])
def test_output_groups_repeat_the_work(outputs: int, groups: int) -> None:
    planes = np.ones((2, 32, 2, 2), bool)
    assert compute_cycles(LOCK_STEP, work_of(planes, [(0, 0)], outputs)) == groups * 4 * 2


def test_silence_costs_nothing() -> None:
    assert compute_cycles(LOCK_STEP, work_of(np.zeros((8, 64, 4, 4), bool), [(0, 0)])) == 0

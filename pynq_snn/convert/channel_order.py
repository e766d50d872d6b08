"""Orders of a map's channels in which the core's weight banks share the work.

The core takes spikes out of pairs of words, two planes of 64 neighbouring channels of a place. Bank b holds the weights
of the channels with number b modulo `BANKS` and reads `BANK_PORTS` of them in a cycle, so a pair takes as long as the
bank with the most spikes. Which channel has which number is free: channels that fire together go to different banks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pynq_snn import layout

BANKS = 8
BANK_PORTS = 2
PAIR_CHANNELS = 2 * layout.BLOCK_CHANNELS  # of a pair of words
TRIES = 6000  # swaps: a fraction of a second

Spikes = npt.NDArray[np.bool_]
Order = npt.NDArray[np.int64]
_Counts = npt.NDArray[np.int8]


def bank_cycles(spikes: Spikes) -> int:
    """Return the cycles that the fullest banks need for all pairs of words together.

    Parameters
    ----------
    spikes : bool [n, channels]
        Whether a channel spikes in either plane of a pair, of n places and pairs of planes.
    """
    return _all_cycles(np.ascontiguousarray(spikes.T, np.int8))


def find_order(spikes: Spikes, *, tries: int = TRIES, seed: int = 0) -> Order:
    """Return an order of channels with few `bank_cycles`, never more than the present one has.

    Parameters
    ----------
    spikes : bool [n, channels]
        As for `bank_cycles`; each place as often as it is read.
    tries : int
        Swaps of two channels that are tried.
    seed : int

    Returns
    -------
    int64 [channels]
        The channel that comes to each position; the same for the same arguments.
    """
    channels = spikes.shape[1]
    rows = np.ascontiguousarray(spikes.T, np.int8)
    present = np.arange(channels)
    if channels == 1 or not spikes.any():
        return present
    order = min((present, _dealt(rows)), key=lambda start: _all_cycles(rows[start]))
    return _improved(rows, order, np.random.default_rng(seed).integers(0, channels, (tries, 2)))


def _dealt(rows: _Counts) -> Order:
    """Return the channels from the busiest to the quietest, dealt to the banks forwards and backwards in turn."""
    busiest = np.argsort(-rows.sum(axis=1, dtype=np.int64), kind="stable")
    order = busiest.copy()
    for start in range(0, len(order), 2 * BANKS):
        order[start + BANKS : start + 2 * BANKS] = order[start + BANKS : start + 2 * BANKS][::-1]
    return order


def _counts(rows: _Counts) -> _Counts:
    """Return the spikes of each bank, [pairs of words, BANKS, n], of channels in their order, [channels, n]."""
    pairs = -(-len(rows) // PAIR_CHANNELS)
    padded = np.zeros((pairs * PAIR_CHANNELS, rows.shape[1]), np.int8)
    padded[: len(rows)] = rows
    counts: _Counts = padded.reshape(pairs, PAIR_CHANNELS // BANKS, BANKS, rows.shape[1]).sum(axis=1, dtype=np.int8)
    return counts


def _all_cycles(rows: _Counts) -> int:
    """Return the cycles of channels in their order, [channels, n]."""
    return sum(_cycles(pair) for pair in _counts(rows))


def _cycles(counts: _Counts) -> int:
    """Return the cycles of the fullest bank, [BANKS, n], over all n."""
    cycles = (counts.max(axis=0) + (BANK_PORTS - 1)) // BANK_PORTS
    return int(cycles.sum(dtype=np.int64))


def _improved(rows: _Counts, order: Order, swaps: Order) -> Order:
    """Swap two positions at a time, wherever that costs nothing: many ways down lead over level ground."""
    order, counts = order.copy(), _counts(rows[order])
    cycles = [_cycles(pair) for pair in counts]
    for first, second in swaps.tolist():
        first_pair, second_pair = first // PAIR_CHANNELS, second // PAIR_CHANNELS
        first_bank, second_bank = counts[first_pair, first % BANKS], counts[second_pair, second % BANKS]
        difference = rows[order[second]] - rows[order[first]]
        first_bank += difference
        second_bank -= difference
        found = {pair: _cycles(counts[pair]) for pair in (first_pair, second_pair)}
        if sum(found.values()) <= sum(cycles[pair] for pair in found):
            order[first], order[second] = order[second], order[first]
            for pair, value in found.items():
                cycles[pair] = value
        else:
            first_bank -= difference
            second_bank += difference
    return order

"""Elementwise arithmetic as one pass over memory, compiled by ``torch.compile`` where there is a C++ compiler.

PyTorch's own elementwise operations read and write a whole tensor each, which costs more time on a CPU than the
convolutions between them. Everything here works on flat views in memory order, so that one compilation serves every
layer, batch and picture size.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_compiling = True


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; where that is not possible, warn once and run it as it stands."""
    fast = functools.cache(lambda: torch.compile(function, dynamic=True))  # late: it loads a compiler

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        if _compiling:
            try:
                return fast()(*arguments)
            except Exception as error:  # whatever a compiler lacks; an error of the function itself comes again below
                _give_up(error)
        return function(*arguments)

    return run


def _give_up(error: Exception) -> None:
    global _compiling
    _compiling = False
    cause = str(error).strip().partition("\n")[0]
    warnings.warn(
        f"training runs without compiled operations, at half the speed ({type(error).__name__}: {cause}); "
        "torch.compile needs a C++ compiler such as g++",
        RuntimeWarning,
        stacklevel=3,
    )


def is_compiling() -> bool:
    """Return whether operations are compiled."""
    return _compiling


@contextmanager
def compiled(wanted: bool = True) -> Iterator[None]:
    """Within, operations are compiled or not; for a few small batches, compiling takes longer than it saves."""
    global _compiling
    before, _compiling = _compiling, wanted
    try:
        yield
    finally:
        _compiling = before


def memory_format_of(x: torch.Tensor) -> torch.memory_format:
    """Return channels-last where `x` is [N, C, H, W] in that order, else the plain one."""
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def flatten(x: torch.Tensor, order: torch.memory_format) -> torch.Tensor:
    """Return all elements in the given order of memory, [size]; a view where they lie so."""
    x = x.contiguous(memory_format=order)
    return (x.permute(0, 2, 3, 1) if order == torch.channels_last else x).reshape(-1)


def unflatten(flat: torch.Tensor, shape: torch.Size, order: torch.memory_format) -> torch.Tensor:
    """Undo `flatten`."""
    if order != torch.channels_last:
        return flat.reshape(shape)
    count, channels, height, width = shape
    return flat.reshape(count, height, width, channels).permute(0, 3, 1, 2)


@fused
def count_spikes(
    x: torch.Tensor, threshold: torch.Tensor, timesteps: int, replay: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return counts times their step, in the dtype of `x`, and the sum of all counts, float32 [].

    Parameters
    ----------
    x, replay : float [size]
        Currents, and the counts to put out instead of theirs.
    threshold : float32 []
    """
    step = threshold / timesteps
    count = (x.float() / step).round().clamp(0, timesteps) if replay is None else replay.float()
    return (count * step).to(x.dtype), count.sum()


@fused
def count_gradients(
    x: torch.Tensor,
    threshold: torch.Tensor,
    timesteps: int,
    replay: torch.Tensor | None,
    to_output: torch.Tensor,
    to_total: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of `count_spikes` with respect to `x` and to the threshold.

    Notes
    -----
    LSQ (Esser et al., ICLR 2020, eq. 3): d (count * step) / d step = count - x / step inside, count outside. Its
    gradient scale is left out: it stops thresholds of convolutions from moving at all in a few epochs.
    """
    step = threshold / timesteps
    scaled = x.float() / step
    count = scaled.round().clamp(0, timesteps) if replay is None else replay.float()
    inside = (scaled > -0.5) & (scaled < timesteps + 0.5)
    gradient = to_output.float() + to_total / step
    to_step = (gradient * torch.where(inside, count - scaled, count)).sum()
    return torch.where(inside, gradient, 0.0).to(x.dtype), to_step / timesteps


@fused
def round_rows(weight: torch.Tensor, step: torch.Tensor, levels: int) -> torch.Tensor:
    """Return float32 [rows, columns] on whole steps, up to `levels` of them in each direction.

    Parameters
    ----------
    weight : float32 [rows, columns]
    step : float32 [rows, 1]
    """
    return (weight / step).round().clamp(-levels, levels) * step


@fused
def integrate_and_fire(currents: torch.Tensor, start: torch.Tensor, threshold: torch.Tensor) -> list[torch.Tensor]:
    """Return the spikes of soft-reset neurons, a uint8 [places, C] of 0 and 1 for each timestep.

    Parameters
    ----------
    currents : float32 [T, places, C]
    start : float32 [C]
        Potentials before the first timestep.
    threshold : float32 []
    """
    potential = start.expand(currents.shape[1:])
    spikes = []
    for current in currents.unbind():
        potential = potential + current
        # A float and not a bool: the compiled loop would not be vectorised.
        fired = torch.where(potential >= threshold, 1.0, 0.0)
        potential = potential - fired * threshold
        spikes.append(fired.to(torch.uint8))
    return spikes

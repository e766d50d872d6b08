"""NIR's neurons in discrete time (docs/nir.md): forward Euler with a step dt gives leak, gain and threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.nir_import.graph import Refused, Shape

FloatArray = npt.NDArray[np.float64]

LEAK_TOLERANCE = 1e-5  # relative; parameters are float32, and 1 - beta loses digits


@dataclass(frozen=True)
class Neuron:
    """A layer of neurons: u = (1 - leak) * u + gain * current; spike where u passes the threshold; reset.

    Attributes
    ----------
    leak_shift : int
        k of leak = 2^-k; 0 for no leak.
    gain, threshold : float64 [channels]
        What one unit of current adds in one timestep; distance of the threshold from the reset potential.
    notes : tuple of str
        What was read differently from how the file says it; to be shown as warnings.
    """

    name: str
    leak_shift: int
    gain: FloatArray
    threshold: FloatArray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dynamics:
    """What a NIR file does not say about its neurons.

    Attributes
    ----------
    dt : float
        Seconds per timestep that the exporter reckoned with.
    soft_reset : bool
        Whether a spike subtracts the threshold; NIR knows only the reset to v_reset.
    round_leak : bool
        Whether a leak that is no power of two becomes the nearest that is.
    """

    dt: float
    soft_reset: bool
    round_leak: bool


def read_neuron(name: str, node: Any, shape: Shape, dynamics: Dynamics) -> Neuron:
    """Return an IF or LIF node's neurons; `shape` is that of the map they form, [N] or [C, H, W].

    Raises
    ------
    Refused
        The accelerator cannot do what the node says.
    """
    kind = type(node).__name__
    threshold, reset, resistance = (
        _per_channel(name, node, key, shape) for key in ("v_threshold", "v_reset", "r")
    )  # fmt: skip
    notes: list[str] = []
    leak_shift = 0
    if kind == "IF":
        gain = dynamics.dt * resistance
    else:
        tau, rest = (_per_channel(name, node, key, shape) for key in ("tau", "v_leak"))
        _check_rest(name, rest, reset, dynamics)
        leak_shift, gain = _leak(name, tau, resistance, dynamics, notes)
    if dynamics.soft_reset and reset.any():
        raise Refused(
            f"{name}: v_reset = {_first(reset):g} has no meaning under soft reset; export with v_reset = 0, or convert "
            "with hard reset"
        )
    if reset.any():
        notes.append(f"{name}: neurons start at v_reset = {_first(reset):g}, as those of SpikingJelly do")
    distance = threshold - reset
    for what, values in (("gain dt * r", gain), ("threshold above the reset potential", distance)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise Refused(f"{name}: {what} is {float(values.min()):g}; it must be above 0")
    return Neuron(name, leak_shift, gain, distance, tuple(notes))


def _check_rest(name: str, rest: FloatArray, reset: FloatArray, dynamics: Dynamics) -> None:
    """Refuse a resting potential that the core cannot leak towards; it leaks towards the reset potential only."""
    if dynamics.soft_reset and rest.any():
        raise Refused(f"{name}: v_leak = {_first(rest):g} is not 0; under soft reset the potential leaks towards 0")
    if not np.allclose(rest, reset, rtol=LEAK_TOLERANCE, atol=1e-12):
        raise Refused(
            f"{name}: v_leak = {float(rest[0]):g} differs from v_reset = {float(reset[0]):g}; the potential can leak "
            "only towards the value that it is reset to, so retrain with v_leak = v_reset"
        )


def _leak(
    name: str, tau: FloatArray, resistance: FloatArray, dynamics: Dynamics, notes: list[str]
) -> tuple[int, FloatArray]:
    """Return k of the leak 2^-k = dt / tau, and the gain dt * r / tau, float64 [channels]."""
    if not (tau > 0).all():
        raise Refused(f"{name}: tau = {float(tau.min()):g} is not above 0; export the network again")
    if np.isinf(tau).all() and np.isinf(resistance).all():
        notes.append(f"{name}: tau and r are infinite, which is how snnTorch writes beta = 1; read as IF with gain 1")
        return 0, np.ones(len(tau))
    leaks = dynamics.dt / tau
    leak = float(leaks[0])
    if not np.allclose(leaks, leak, rtol=LEAK_TOLERANCE, atol=0):
        raise Refused(
            f"{name}: tau differs between channels ({float(tau.min()):g} to {float(tau.max()):g}); the accelerator has "
            "one leak for all neurons, so train with one tau"
        )
    nearest = nearest_shift(leak)
    exact = math.isclose(leak, shift_leak(nearest), rel_tol=LEAK_TOLERANCE)
    if not exact and leak > 1 + LEAK_TOLERANCE:
        raise Refused(
            f"{name}: dt = {dynamics.dt:g} is longer than tau = {float(tau[0]):g}; give the dt that the network was "
            "exported with"
        )
    if not exact and not dynamics.round_leak:
        raise Refused(
            f"{name}: each timestep {leak:.6g} of the potential leaks (beta = {1 - leak:.6g}), which is not a power of "
            f"two; the nearest is {shift_leak(nearest):g} (beta = {1 - shift_leak(nearest):g}): train with it, or take "
            "it with round_leak (--round-leak)"
        )
    if not exact:
        notes.append(f"{name}: beta = {1 - leak:.6g} was rounded to {1 - shift_leak(nearest):g}")
    return nearest, leaks * resistance


def shift_leak(shift: int) -> float:
    """Return the share of the potential that leaks in a timestep: 2^-shift, or 0 for shift 0."""
    return 2.0**-shift if shift else 0.0


def nearest_shift(leak: float) -> int:
    """Return the shift, 0 to `layout.MAX_LEAK_SHIFT`, whose leak is nearest to `leak`."""
    return min(range(layout.MAX_LEAK_SHIFT + 1), key=lambda shift: abs(shift_leak(shift) - leak))


def _per_channel(name: str, node: Any, key: str, shape: Shape) -> FloatArray:
    """Return a parameter per channel, float64 [channels]; refuse what differs between places of a channel."""
    try:
        values = np.asarray(getattr(node, key), np.float64)
    except (AttributeError, TypeError, ValueError) as error:
        raise Refused(f"{name}: {key} is not an array of numbers; export the network again") from error
    if np.isnan(values).any():
        raise Refused(f"{name}: {key} holds NaN; export the network again")
    if values.size == 1:
        return np.full(shape[0], float(values.reshape(-1)[0]))
    if values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]  # a batch of one
    try:
        full = np.broadcast_to(values, shape).reshape(shape[0], -1)
    except ValueError as error:
        raise Refused(f"{name}: {key} has shape {list(values.shape)} but the neurons form {list(shape)}") from error
    if (full != full[:, :1]).any():
        raise Refused(
            f"{name}: {key} differs between neurons of one channel ({float(full.min()):g} to {float(full.max()):g}); "
            "the accelerator has one value per channel, so train with one"
        )
    return full[:, 0].copy()


def _first(values: FloatArray) -> float:
    return float(values[np.flatnonzero(values)[0]])

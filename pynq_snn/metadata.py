"""A model's metadata_props (docs/onnx.md): what a file says about the whole network, written and read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pynq_snn import layout
from pynq_snn.errors import ModelError
from pynq_snn.network import POTENTIAL_STEPS, TrainedLayer
from pynq_snn.onnx_reader import Graph

POTENTIALS = "initial_potentials"  # the key of what `Metadata.potentials` holds


def properties(
    name: str,
    timesteps: int,
    labels: Sequence[str],
    input_size: Sequence[int],
    *,
    input_kind: str = "pixels",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    firing: str = "deferred",
    hard_reset: bool = False,
    fires: str = "at",
    leak_shift: int = 0,
    initial_potential: str = "half",
) -> dict[str, str]:
    """Return the metadata_props of a model.

    Parameters
    ----------
    input_size : (height, width)
    mean, std : sequence of float
        x = (pixel / 255 - mean) / std, one number per input channel; empty where events come in.
    """
    normalisation = {"mean": json.dumps(list(mean)), "std": json.dumps(list(std))} if mean else {}
    return {
        "name": name,
        "timesteps": str(timesteps),
        "firing": firing,
        "labels": json.dumps(list(labels)),
        **normalisation,
        "input_size": json.dumps(list(input_size)),
        "input": input_kind,
        "reset": "hard" if hard_reset else "soft",
        "fires": fires,
        "leak_shift": str(leak_shift),
        "initial_potential": initial_potential,
    }


class Metadata:
    """What a file says about the whole network, checked.

    Parameters
    ----------
    graph : Graph
    levels : callable
        Returns T as the graph's nodes have it, or None; asked for where the metadata lack it.

    Attributes
    ----------
    mean, std : tuple of float
        x = (pixel / 255 - mean) / std, one number per input channel.
    potentials : list of list of int
        Initial potentials of each layer that fires, by channel; in parts of a threshold of which POTENTIAL_STEPS make
        one.
    input_size : (height, width), or None

    Raises
    ------
    ModelError
        A value means nothing; the message names its key.
    """

    def __init__(self, graph: Graph, levels: Callable[[], int | None]) -> None:
        self.graph = graph
        self.values = graph.metadata
        self.name = self.values.get("name") or Path(graph.path).stem
        self.timesteps = self._whole(
            "timesteps", None if "timesteps" in self.values else levels(), 1, layout.MAX_TIMESTEPS
        )
        self.leak_shift = self._whole("leak_shift", 0, 0, layout.MAX_LEAK_SHIFT)
        self.firing = self._choice("firing", "deferred", ("deferred", "stepwise"))
        self.hard_reset = self._choice("reset", "soft", ("soft", "hard")) == "hard"
        self.initial_potential = self._choice("initial_potential", "half", ("half", "zero"))
        self.potentials = self._potentials()
        self.fires = self._choice("fires", "at", ("at", "above"))
        self.input_kind = self._choice("input", "pixels", ("pixels", "events"))
        self.mean = self._numbers("mean")
        self.std = self._numbers("std")
        self.labels = self._strings("labels")
        self.input_size = self._size()

    def check_input(self, channels: int) -> None:
        """Refuse a normalisation that does not fit the input's channels; fill in the neutral one."""
        if not self.mean and not self.std:
            self.mean, self.std = (0.0,) * channels, (1.0,) * channels
        if len(self.mean) != channels or len(self.std) != channels:
            raise self._error("mean", f"{len(self.mean)} means and {len(self.std)} stds for {channels} input channels")
        if min(self.std) <= 0:
            raise self._error("std", f"{min(self.std):g} is not positive")

    def with_potentials(self, layers: Sequence[TrainedLayer]) -> tuple[TrainedLayer, ...]:
        """Return the layers with the initial potentials that the file gives, if it does."""
        if POTENTIALS not in self.values:
            return tuple(layers)
        firing = [index for index, layer in enumerate(layers) if layer.has_neurons]
        if len(firing) != len(self.potentials):
            raise self._error(POTENTIALS, f"{len(self.potentials)} lists for {len(firing)} layers that fire")
        result = list(layers)
        for index, values in zip(firing, self.potentials, strict=True):
            layer = layers[index]
            if len(values) != layer.output_shape[0]:
                raise self._error(
                    POTENTIALS, f"{len(values)} values for {layer.output_shape[0]} channels of {layer.name}"
                )
            result[index] = replace(layer, start=np.array(values, np.float64) / POTENTIAL_STEPS)
        return tuple(result)

    def _potentials(self) -> list[list[int]]:
        lists = self._json(POTENTIALS)
        for values in lists:
            good = isinstance(values, list) and all(type(v) is int and 0 <= v <= POTENTIAL_STEPS for v in values)
            if not good:
                raise self._error(
                    POTENTIALS, f"{str(values)[:40]} is not a list of whole numbers, 0 to {POTENTIAL_STEPS}"
                )
        return lists

    def _error(self, key: str, text: str) -> ModelError:
        return ModelError(f"{self.graph.path}: metadata {key}: {text}; see docs/onnx.md for what a model carries")

    def _whole(self, key: str, default: int | None, low: int, high: int) -> int:
        text = self.values.get(key)
        if text is None:
            if default is None:
                raise self._error(key, "is missing, so this is not a quantised spiking network")
            return default
        try:
            value = int(text)
        except ValueError as error:
            raise self._error(key, f"{text!r} is not a whole number") from error
        if not low <= value <= high:
            raise self._error(key, f"{value} is out of range, {low} to {high}")
        return value

    def _choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.values.get(key, default)
        if value not in choices:
            raise self._error(key, f"{value!r} is not one of {', '.join(choices)}")
        return value

    def _json(self, key: str) -> list[Any]:
        text = self.values.get(key)
        if text is None:
            return []
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._error(key, f"{text[:40]!r} is not JSON") from error
        if not isinstance(value, list):
            raise self._error(key, f"{text[:40]!r} is not a JSON list")
        return value

    def _numbers(self, key: str) -> tuple[float, ...]:
        values = self._json(key)
        good = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values)
        if not good:
            raise self._error(key, f"{values} is not a list of numbers")
        return tuple(float(value) for value in values)

    def _strings(self, key: str) -> tuple[str, ...]:
        values = self._json(key)
        if not all(isinstance(value, str) for value in values):
            raise self._error(key, f"{values} is not a list of strings")
        return tuple(values)

    def _size(self) -> tuple[int, int] | None:
        values = self._json("input_size")
        if not values:
            return None
        if len(values) != 2 or not all(isinstance(value, int) and value > 0 for value in values):
            raise self._error("input_size", f"{values} is not [height, width]")
        return values[0], values[1]

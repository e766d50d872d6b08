"""Quantised files that other tools wrote: Brevitas' run as they are, onnxruntime's are refused with the reason."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from pynq_snn.accelerator import Accelerator
from pynq_snn.errors import ModelError
from pynq_snn.importer import import_network
from pynq_snn.network import Network
from pynq_snn.onnx_reader import parse_onnx
from tests.test_convert import DEVICE, float_model, random_pixels

BREVITAS = Path(__file__).parent / "exports" / "brevitas.onnx"
SIZE = (3, 16, 16)


def test_a_brevitas_file_runs_as_it_is() -> None:
    network = Network.from_onnx(BREVITAS)
    assert network.timesteps == 7  # 3 bits
    pixels = random_pixels(2, SIZE)  # the exporter fixed the batch
    values = (pixels / np.float32(255)).astype(np.float32).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(str(BREVITAS), providers=["CPUExecutionProvider"])
    wanted = session.run(None, {session.get_inputs()[0].name: values})[0]
    with Accelerator(DEVICE) as accelerator:
        accelerator.load(network)
        scores = network.scores(accelerator.infer(pixels))
    np.testing.assert_allclose(scores, wanted, atol=0.02 * np.abs(wanted).max())


def clips(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    counts = {node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    return [node for node in model.graph.node if node.op_type == "Clip" and node.input[0] in counts]


@pytest.mark.parametrize(
    ("changed", "levels", "message"),
    [
        ((0, 1), 127, "QuantizeLinear .* keeps 127 levels, which do not map onto 1 to 32 spikes; quantise to 5 bits"),
        ((1,), 15, "QuantizeLinear .* has 15 levels but .* has 7; all layers share one T"),
    ],
)
def test_levels_that_are_no_timesteps(changed: tuple[int, ...], levels: int, message: str) -> None:
    model = onnx.load(str(BREVITAS))
    model.graph.initializer.append(numpy_helper.from_array(np.array(levels, np.uint8), "levels"))
    for index in changed:
        clips(model)[index].input[2] = "levels"
    with pytest.raises(ModelError, match=message):
        import_network(parse_onnx(model.SerializeToString()))


class Pictures:
    """What quantize_static calibrates on."""

    def __init__(self) -> None:
        self.left = [{"input": random_pixels(4).transpose(0, 3, 1, 2).astype(np.float32) / 255}]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


@pytest.mark.filterwarnings("ignore")
def test_a_static_file_of_onnxruntime_is_refused_by_node(tmp_path: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization", reason="onnxruntime has no quantisation tools here")
    logging.disable(logging.WARNING)
    (tmp_path / "float.onnx").write_bytes(float_model(1).SerializeToString())
    quantization.quantize_static(
        str(tmp_path / "float.onnx"),
        str(tmp_path / "static.onnx"),
        Pictures(),
        quant_format=quantization.QuantFormat.QDQ,
    )
    logging.disable(logging.NOTSET)
    with pytest.raises(ModelError, match="QuantizeLinear .* keeps 256 levels.* give pynq-snn convert the float"):
        import_network(tmp_path / "static.onnx")

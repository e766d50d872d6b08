"""The training code: quantisers that compute what neurons compute, and files that compute what was trained."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra (PyTorch)")

import onnx  # noqa: E402
import onnxruntime  # noqa: E402

from pynq_snn.accelerator import Accelerator  # noqa: E402
from pynq_snn.convert.rewriting import write_potentials  # noqa: E402
from pynq_snn.datasets import CIFAR10_CLASSES, Dataset  # noqa: E402
from pynq_snn.importer import import_network  # noqa: E402
from pynq_snn.models import find_model  # noqa: E402
from pynq_snn.network import POTENTIAL_STEPS, Network, integrate  # noqa: E402
from pynq_snn.onnx_reader import parse_onnx  # noqa: E402
from pynq_snn.pictures import fit_picture  # noqa: E402
from training import fused, memory, train  # noqa: E402
from training.augment import MEAN, STD, augment, compress, cut_mix, normalise  # noqa: E402
from training.average import RunningMean, average  # noqa: E402
from training.convolution import Convolution, windows_of  # noqa: E402
from training.export import Exporter, export_run, metadata_of  # noqa: E402
from training.integer import has_integer_product, spike_current  # noqa: E402
from training.memory import keep_freed_memory  # noqa: E402
from training.networks import NETWORKS, ConvUnit  # noqa: E402
from training.quantisers import SpikeCount, original_weight, quantise_weights, set_fan_outs, set_timesteps  # noqa: E402
from training.resume import load_parameters, set_starts, warm_start  # noqa: E402
from training.stepwise import Simulation, fire, replayed  # noqa: E402
from training.train import (  # noqa: E402
    BitCounter,
    Recipe,
    classification_loss,
    computes_in_bfloat16,
    load_teacher,
    main,
    run_stage,
    schedule_of,
    sized,
)


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    """Compiling takes longer than these tests; one of them compares what is compiled with what is not."""
    with fused.compiled(False):
        yield


def quantised(name: str) -> Any:
    """Return an untrained quantised network whose batch norms have seen something."""
    torch.manual_seed(1)
    network = NETWORKS[name](functools.partial(SpikeCount, 8), classes=10)
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(8, 3, 32, 32))
    return network.eval()


def is_neurons_convolution(name: str, module: Any) -> bool:
    """Return whether a module is the convolution before an activation; a shortcut's adds to another one."""
    return isinstance(module, torch.nn.Conv2d) and "shortcut" not in name


def relative_error(value: Any, expected: Any) -> float:
    """Return the root mean square of the difference, in standard deviations of what is expected."""
    return float(np.sqrt(np.mean((value - expected) ** 2)) / expected.std())


def test_a_spike_count_is_what_a_deferred_neuron_fires() -> None:
    neuron = SpikeCount(8)
    threshold = float(neuron.threshold.detach())
    x = torch.linspace(-1, 4, 1001)
    counts = (neuron(x[None])[0] * 8 / threshold).detach().numpy()
    expected = np.clip(np.floor((x.numpy() * 8 + threshold / 2) / threshold), 0, 8)
    ties = np.isclose((x.numpy() * 8 / threshold) % 1, 0.5, atol=1e-4)
    assert np.allclose(counts[~ties], expected[~ties], atol=1e-5)


def test_gradients_of_a_spike_count() -> None:
    neuron = SpikeCount(4)  # threshold 2, step 0.5
    x = torch.tensor([[-1.0, 0.6, 3.0]], requires_grad=True)
    neuron(x).sum().backward()
    assert x.grad is not None and neuron.threshold.grad is not None
    assert x.grad.tolist() == [[0.0, 1.0, 0.0]]
    # d (count * V / T) / dV: 0 below, (1 - 1.2) / 4 inside, 4 / 4 above
    assert float(neuron.threshold.grad) == pytest.approx(-0.05 + 1.0)


def autograd_counts(x: Any, threshold: Any, timesteps: int, replay: Any) -> tuple[Any, Any]:
    """Return outputs and totals whose gradient PyTorch finds: straight-through rounding, clipping one step outside."""
    scaled = x / (threshold / timesteps)
    inside = (scaled > -0.5) & (scaled < timesteps + 0.5)
    count = scaled.round().clamp(0, timesteps) if replay is None else replay
    through = torch.where(inside, scaled + (count - scaled).detach(), count)
    y = through * (threshold / timesteps)
    return y, y.sum() * (timesteps / threshold.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("replayed_counts", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 4, 2), (7, 6)])
def test_spike_counts_have_the_gradient_of_the_plain_formula(shape: Any, replayed_counts: bool, dtype: Any) -> None:
    torch.manual_seed(0)
    neuron = SpikeCount(8)
    neuron.fan_out = 3.0
    neuron.replay = torch.randint(0, 9, shape).to(dtype) if replayed_counts else None
    x = (torch.randn(shape) * 2).to(dtype).requires_grad_()
    weights = torch.randn(shape)
    plain, threshold = x.detach().float().requires_grad_(), neuron.threshold.detach().clone().requires_grad_()
    expected, total = autograd_counts(plain, threshold, 8, neuron.replay)
    ((expected * weights.to(dtype)).sum() + 0.01 * 3 * total / len(x)).backward()
    y = neuron(x)
    ((y * weights.to(dtype)).float().sum() + 0.01 * neuron.synaptic_operations).backward()
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
    torch.testing.assert_close(y.float(), expected, **tolerance)
    torch.testing.assert_close(neuron.synaptic_operations, 3 * total / len(x), rtol=1e-4, atol=1e-4)
    assert neuron.firing_rate == pytest.approx(float(total.detach()) / x.numel() / 8, rel=1e-4)
    assert x.grad is not None and y.dtype == dtype
    torch.testing.assert_close(x.grad.float(), plain.grad, **tolerance)
    torch.testing.assert_close(neuron.threshold.grad, threshold.grad, **tolerance)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch by PyTorch
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs g++")
def test_compiled_operations_compute_what_plain_ones_do() -> None:
    torch.manual_seed(0)
    x, gradient = torch.randn(2, 999).bfloat16()
    arguments = (x, torch.tensor(1.3), 8, None, gradient, torch.tensor(0.1))
    expected = fused.count_gradients(*arguments)
    with fused.compiled():
        found = fused.count_gradients(*arguments)
        assert fused.is_compiling()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch by PyTorch
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs g++")
def test_compiled_neurons_fire_as_plain_ones() -> None:
    torch.manual_seed(0)
    arguments = (torch.randn(4, 9, 20), torch.rand(20), torch.tensor(1.3))
    expected = fused.integrate_and_fire(*arguments)
    with fused.compiled():
        found = fused.integrate_and_fire(*arguments)
        assert fused.is_compiling()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_neurons_fire_timestep_by_timestep_from_their_own_starts(order: Any) -> None:
    torch.manual_seed(0)
    neuron = SpikeCount(5)
    neuron.start = torch.tensor([0.0, 0.25, 1.0])
    currents = torch.randint(-4, 9, (5, 2, 3, 4, 2)) / 4  # in quarters: no sum is rounded
    flat = currents.flatten(0, 1).contiguous(memory_format=order)
    spikes = fire(flat.unflatten(0, (5, 2)), neuron)
    threshold = float(neuron.positive_threshold.detach())
    for channel, start in enumerate(neuron.start.tolist()):
        trains = (values[:, :, channel].flatten(1).t().tolist() for values in (currents, spikes))
        for current, fired in zip(*trains, strict=True):
            potential = start * threshold
            for timestep in range(5):
                potential += current[timestep]
                assert fired[timestep] == (potential >= threshold)
                potential -= threshold * fired[timestep]


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 2)])
def test_integer_products_of_spikes_compute_what_the_unit_does(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    unit = ConvUnit(12, 20, kernel, stride).eval()
    spikes = torch.randint(0, 2, (6, 12, 8, 6), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    assert not has_integer_product(unit, spikes)  # weights that are not on int8 steps
    quantise_weights(unit)
    if not has_integer_product(unit, spikes):
        pytest.skip("this PyTorch has no int8 convolutions of oneDNN")
    with torch.no_grad():
        norm: Any = unit.norm
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.normal_()  # gains of both signs
        threshold = torch.tensor(1.7)
        expected = unit(spikes * threshold)
    torch.testing.assert_close(spike_current(unit, spikes, threshold), expected, rtol=1e-4, atol=1e-4)


def test_without_a_compiler_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(function: Any, **_: Any) -> Any:
        def fail(*_: Any) -> None:
            raise RuntimeError("No working C++ compiler found")

        return fail

    monkeypatch.setattr(torch, "compile", no_compiler)
    double = fused.fused(lambda x: 2 * x)
    with fused.compiled():
        with pytest.warns(RuntimeWarning, match="No working C.. compiler"):
            assert double(3) == 6
        assert double(4) == 8  # said once


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [((4, 4), 3, 1), ((2, 2), 3, 1), ((1, 1), 3, 1), ((5, 7), 3, 2), ((8, 8), 1, 2)]
)
def test_products_compute_what_convolutions_do(size: Any, kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer: Any = Convolution(6, 5, kernel, stride)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.bfloat16())
    x = torch.randn(3, 6, *size).bfloat16().requires_grad_()
    plain: Any = x.detach().float().requires_grad_()  # never small and bfloat16: PyTorch's own
    expected = layer(plain)
    gradient = torch.randn_like(expected).bfloat16()
    (expected_to_weight,) = torch.autograd.grad(expected, layer.weight, gradient.float(), retain_graph=True)
    expected.backward(gradient.float())
    layer.weight.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert type(y.grad_fn).__name__ == "_ProductFunctionBackward"
    y.backward(gradient)
    for found, wanted in ((y, expected), (x.grad, plain.grad), (layer.weight.grad, expected_to_weight)):
        torch.testing.assert_close(found.float(), wanted, rtol=2e-2, atol=2e-2)


def test_windows_of_a_map_are_what_each_output_sees() -> None:
    x = torch.arange(1.0, 5).reshape(1, 1, 2, 2)
    seen = ["000012034", "000120340", "012034000", "120340000"]
    assert windows_of(x, 3, 1).tolist() == [[float(digit) for digit in window] for window in seen]


def test_weights_in_training_are_int8_steps() -> None:
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.Linear(4, 6))
    quantise_weights(layer)
    convolution: Any = layer[0]
    steps = convolution.weight / (convolution.weight.abs().amax((1, 2, 3), keepdim=True) / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-3)


def test_fan_outs_are_those_of_the_dense_convolutions() -> None:
    network = NETWORKS["vgg11"](functools.partial(SpikeCount, 8), classes=10)
    set_fan_outs(network, torch.zeros(1, 3, 32, 32))
    fan_outs = [m.fan_out for m in network.modules() if isinstance(m, SpikeCount)]
    assert fan_outs == [128 * 9, 256 * 9, 256 * 9, 512 * 9, 512 * 9, 512 * 9, 512 * 9, 0]


def test_nothing_is_compiled_to_find_fan_outs() -> None:
    network = NETWORKS["vgg11"](functools.partial(SpikeCount, 8), classes=10)
    compiling = []
    network.classifier.register_forward_hook(lambda *_: compiling.append(fused.is_compiling()))
    with fused.compiled():
        set_fan_outs(network, torch.zeros(1, 3, 32, 32))
        assert compiling == [False] and fused.is_compiling()


def test_augmentation_keeps_shape_and_scale() -> None:
    images = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    for cutout, small, size in ((False, False, 32), (True, False, 32), (True, True, 24)):
        changed = augment(images, cutout, small)
        assert changed.shape == (6, 3, size, size)
        assert changed.abs().max() <= normalise(images).abs().max()


def denormalise(x: Any) -> Any:
    """Return the pixels, uint8, of a normalised batch."""
    return (x * STD + torch.tensor(MEAN).reshape(1, 3, 1, 1)).to(torch.uint8)


def test_pixels_come_back_from_normalisation() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert (denormalise(normalise(pixels)) == pixels).all()


def test_compression_takes_away_colours_before_brightness() -> None:
    noise = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    grey, colours = noise.expand(4, 3, 32, 32), torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    lost = [float((compress(x, 95).float() - x.float()).square().mean()) for x in (grey, colours)]
    assert 0 < lost[0] < 20 < 1000 < lost[1]
    assert compress(grey, 95).shape == grey.shape
    assert (compress(colours, 95) == compress(colours, 95)).all()


def test_pictures_are_compressed_after_crop_and_flip() -> None:
    """The blocks of a test picture begin at its corner, so those of a training picture have to."""
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(3)
    plain = augment(images, cutout=False)
    torch.manual_seed(3)
    assert (augment(images, cutout=False, jpeg_quality=75) == normalise(compress(denormalise(plain), 75))).all()


def test_boxes_of_other_pictures_bring_their_share_of_the_label() -> None:
    torch.manual_seed(3)
    pictures = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 3, 16, 16)  # each filled with its own class
    for _ in range(20):
        mixed, targets = cut_mix(pictures, torch.arange(8), classes=8)
        shares = torch.stack([(mixed[:, 0] == number).float().mean((1, 2)) for number in range(8)], dim=1)
        torch.testing.assert_close(targets, shares)


def test_a_network_that_agrees_with_its_teacher_loses_nothing_by_it() -> None:
    recipe = Recipe("vgg11", "quantised", 1, 0.01, distillation=1.0)
    scores, labels = torch.randn(4, 10), torch.arange(4)
    assert float(classification_loss(scores, scores, labels, recipe)) == pytest.approx(0, abs=1e-6)
    assert float(classification_loss(scores, scores + torch.randn(4, 10), labels, recipe)) > 0.01


def test_a_missing_teacher_is_named(tmp_path: Any) -> None:
    recipe = Recipe("vgg11", "quantised", 1, 0.01, distillation=0.5, teacher=str(tmp_path / "float.pt"))
    with pytest.raises(SystemExit, match=r"float.pt: no such checkpoint"):
        load_teacher(recipe, 10)


def test_a_teacher_can_be_of_another_architecture(tmp_path: Any) -> None:
    teacher = NETWORKS["resnet18"](classes=10)
    torch.save({"network": teacher.state_dict()}, tmp_path / "float.pt")
    recipe = Recipe("vgg11", "float", 1, 0.01, distillation=0.5, teacher=str(tmp_path / "float.pt"))
    with pytest.raises(SystemExit, match="does not belong to this network"):
        load_teacher(recipe, 10)
    found = load_teacher(dataclasses.replace(recipe, teacher_network="resnet18"), 10)
    picture = torch.randn(1, 3, 32, 32)
    assert found is not None
    torch.testing.assert_close(found(picture), teacher.eval()(picture))


@pytest.mark.parametrize(
    "stage, save_seconds", [("float", 0.0), ("float", 1000.0), ("quantised", 0.0), ("stepwise", 0.0)]
)
def test_a_stage_that_was_stopped_ends_as_one_that_was_not(
    stage: str, save_seconds: float, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", images=pixels, labels=np.arange(8), classes=CIFAR10_CLASSES)
    recipe = Recipe("vgg11", stage, epochs=2, peak_learning_rate=0.01, batch=4, cutmix=0.5)
    monkeypatch.setattr(train, "SAVE_SECONDS", save_seconds)
    evaluate = train.evaluate

    def run(name: str, evaluations: int = 1000) -> Any:
        rest = iter(range(evaluations))
        monkeypatch.setattr(train, "evaluate", lambda *given: (next(rest), evaluate(*given))[1])
        (tmp_path / name).mkdir(exist_ok=True)
        run_stage(recipe, tmp_path, tmp_path / name)
        return torch.load(tmp_path / name / f"{stage}.pt", weights_only=True)["network"]

    with pytest.raises(StopIteration):
        run("stopped", evaluations=2 if stage == "stepwise" else 1)
    assert (tmp_path / "stopped" / f"{stage}.pt").exists() == (save_seconds == 0)
    torch.testing.assert_close(run("stopped"), run("whole"), rtol=0, atol=0)


@pytest.mark.parametrize("timesteps", [4, 8])
def test_operations_of_binary_counts_are_bits_times_fan_out(timesteps: int) -> None:
    neuron = SpikeCount(8)
    neuron.fan_out = 5.0
    bits = BitCounter([neuron])
    set_timesteps(torch.nn.Sequential(neuron), timesteps)
    counts = torch.arange(timesteps + 1.0)
    neuron((counts * neuron.step.detach())[None])
    assert float(bits.operations) == 5 * sum(int(count).bit_count() for count in counts)
    bits.close()
    neuron(counts[None])
    assert float(bits.operations) == 5 * sum(int(count).bit_count() for count in counts)


def test_weights_in_training_are_those_in_the_file(tmp_path: Any) -> None:
    network = quantised("resnet18")
    path = tmp_path / "model.onnx"
    metadata = metadata_of("resnet18", list("abcdefghij"), 8, (32, 32))
    path.write_bytes(Exporter(network, True).model(metadata).SerializeToString())
    quantise_weights(network)
    stored = load_parameters(path)
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            same = torch.isclose(module.weight, stored[f"{name}.weight"], rtol=1e-4, atol=1e-6)
            assert float((~same).float().mean()) < 1e-4, name  # a weight on a rounding tie, in float32 and float64
            assert not torch.equal(module.weight, original_weight(module))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_exported_files_compute_what_was_trained(name: str) -> None:
    network = quantised(name)
    model = Exporter(network, quantised=True).model(metadata_of(name, [str(i) for i in range(10)], 8, (32, 32)))
    assert not [t.name for t in model.graph.initializer if t.name.endswith(".step") and t.dims]  # one step per layer
    images = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3), np.uint8)
    x = normalise(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"input": x.numpy()})
    quantise_weights(network)
    with torch.no_grad():
        trained = network(x).numpy()
    assert relative_error(trained, expected) < 0.2  # counts at a rounding tie
    spiking = integrate(import_network(parse_onnx(model.SerializeToString())))
    with Accelerator("kernel") as accelerator:
        accelerator.load(spiking)
        scores = spiking.scores(accelerator.infer(images))
    assert relative_error(scores, expected) < 0.2


@pytest.mark.parametrize("own_starts", [False, True])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_simulation_in_training_fires_what_the_accelerator_fires(
    name: str, own_starts: bool, tmp_path: Any
) -> None:
    network = quantised(name)
    metadata = {**metadata_of(name, [str(i) for i in range(10)], 8, (32, 32)), "firing": "stepwise"}
    model = Exporter(network, quantised=True).model(metadata)
    images = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3), np.uint8)
    quantise_weights(network)
    if own_starts:
        potentials = np.random.default_rng(3)
        channels = [m.weight.shape[0] for key, m in network.named_modules() if is_neurons_convolution(key, m)]
        write_potentials(model, [potentials.integers(0, POTENTIAL_STEPS, count).tolist() for count in channels])
        onnx.save(model, tmp_path / "model.onnx")
        set_starts(network, tmp_path / "model.onnx")
        assert all(m.start.shape for m in network.modules() if isinstance(m, SpikeCount))
    x = normalise(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    simulation = Simulation(network, 8)
    simulation.run(x)
    with torch.no_grad(), replayed(simulation.counts):
        simulated = network(x).numpy()
    spiking = integrate(import_network(parse_onnx(model.SerializeToString())))
    with Accelerator("kernel") as accelerator:
        accelerator.load(spiking)
        scores = spiking.scores(accelerator.infer(images))
        assert accelerator.last_run is not None
        fired = {layer.name: layer.spikes for layer in accelerator.last_run.layers}
    assert relative_error(scores, simulated) < 0.3
    passed_on = [
        spikes for layer, spikes in fired.items() if layer.removesuffix(".conv") == layer or layer[:-5] not in fired
    ]
    for count, spikes in list(zip(simulation.counts.values(), passed_on, strict=False))[:5]:
        assert float(count.sum()) == pytest.approx(
            spikes, rel=0.01
        )  # a potential may meet its threshold but for rounding


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_training_goes_on_from_an_exported_model(name: str, tmp_path: Any) -> None:
    network = quantised(name)
    path = tmp_path / "model.onnx"
    path.write_bytes(
        Exporter(network, True).model(metadata_of(name, list("abcdefghij"), 8, (32, 32))).SerializeToString()
    )
    again = NETWORKS[name](functools.partial(SpikeCount, 8), classes=10)
    quantise_weights(again)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.fill_(-7)
    warm_start(again, path)
    original = network.state_dict()
    for key, value in again.state_dict().items():
        plain = key.replace("parametrizations.", "").replace(".original", "")
        if value.is_floating_point():  # weights come back rounded to int8, the two branches of a block to one scale
            difference = (value - original[plain]).square().mean().sqrt() / original[plain].square().mean().sqrt()
            assert float(difference.nan_to_num()) < (0.1 if value.ndim > 1 else 1e-6), key


def test_a_run_that_began_elsewhere_is_exported_without_a_twin(tmp_path: Any) -> None:
    log = {"classes": list("abcdefghij"), "size": [32, 32], "recipe": {"timesteps": 8}}
    (tmp_path / "quantised.json").write_text(json.dumps(log))
    torch.save({"network": quantised("vgg11").state_dict()}, tmp_path / "quantised.pt")
    export_run("vgg11", tmp_path)
    assert Network.from_onnx(tmp_path / "vgg11.onnx").labels == tuple("abcdefghij")
    assert not (tmp_path / "vgg11-float.onnx").exists()
    torch.save({"network": NETWORKS["vgg11"]().state_dict()}, tmp_path / "float.pt")
    export_run("vgg11", tmp_path)
    assert (tmp_path / "vgg11-float.onnx").exists()


def test_another_networks_model_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "vgg11.pt"
    torch.save({"network": NETWORKS["vgg11"]().state_dict()}, path)
    with pytest.raises(SystemExit, match="does not belong"):
        warm_start(NETWORKS["resnet18"](), path)


def test_the_mean_of_two_models_lies_between_them(tmp_path: Any) -> None:
    paths = [tmp_path / "one.pt", tmp_path / "other.pt"]
    states = []
    for shift, path in zip((0, 0.01), paths, strict=True):
        network = quantised("vgg11")
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += shift
        quantise_weights(network)
        torch.save({"network": network.state_dict()}, path)
        states.append(network.units[3].conv.parametrizations.weight.original)
    mean: Any = average("vgg11", paths, 10, 8)
    assert torch.equal(mean.units[3].conv.weight, (states[0] + states[1]) / 2)
    twin = tmp_path / "float.pt"
    torch.save({"network": NETWORKS["vgg11"]().state_dict()}, twin)
    with pytest.raises(SystemExit, match=r"float.pt: activations.0.threshold is missing"):
        average("vgg11", [paths[0], twin], 10, 8)
    reordered = tmp_path / "reordered.pt"
    state = torch.load(paths[0], weights_only=True)["network"]
    turned = {key: value.flip(0) if value.ndim == 4 else value for key, value in state.items()}
    torch.save({"network": turned}, reordered)
    with pytest.raises(SystemExit, match=r"reordered.pt: units.0.conv.weight is unlike .* `pynq-snn reorder`"):
        average("vgg11", [paths[0], reordered], 10, 8)


@pytest.mark.parametrize(("flags", "expected"), [("fpu avx512f avx512_bf16 amx_int8", True), ("fpu avx512f", False)])
def test_a_processor_without_bfloat16_is_known(flags: str, expected: bool, tmp_path: Any) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: a processor\nflags\t\t: {flags}\n")
    assert computes_in_bfloat16(torch.device("cpu"), tmp_path / "cpuinfo") == expected
    assert not computes_in_bfloat16(torch.device("cpu"), tmp_path / "missing")
    assert computes_in_bfloat16(torch.device("cuda"), tmp_path / "missing")


def test_small_pictures_are_scaled_as_in_evaluation_or_refused() -> None:
    pictures = np.random.default_rng(4).integers(0, 256, (3, 28, 28, 3), np.uint8)
    dataset = Dataset(pictures, np.zeros(3, np.int64), ())
    with pytest.raises(SystemExit, match="28 x 28 pixels are too small for vgg11; --size 32 scales them"):
        sized(dataset, Recipe("vgg11", "float", 1, 0.1))
    assert sized(dataset, Recipe("resnet18", "float", 1, 0.1)) is dataset
    shipped = Network.from_onnx(find_model("vgg11"))
    expected = np.stack([fit_picture(picture, shipped) for picture in pictures])
    images = sized(dataset, Recipe("vgg11", "float", 1, 0.1, size=32)).images
    assert isinstance(images, np.ndarray)
    assert np.array_equal(images, expected)


def test_the_mean_of_a_training_is_that_of_its_parameters() -> None:
    layer = torch.nn.Linear(2, 1)
    mean = RunningMean(layer)
    mean.install()  # nothing was added: nothing changes
    values = [layer.weight.detach().clone()]
    mean.add()
    for value in (1.0, 4.0):
        with torch.no_grad():
            layer.weight.fill_(value)
        values.append(layer.weight.detach().clone())
        mean.add()
    mean.install()
    torch.testing.assert_close(layer.weight.detach(), sum(values) / 3)


@pytest.mark.parametrize("mean", [False, True])
def test_a_mean_is_taken_at_the_peak_learning_rate(mean: bool) -> None:
    recipe = Recipe("vgg11", "stepwise", epochs=2, peak_learning_rate=0.1, warm_up=0.2, mean=mean)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], recipe.peak_learning_rate)
    schedule = schedule_of(optimiser, recipe, steps=10)
    rates = []
    for _ in range(20):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    assert rates[0] < 0.03 and max(rates) == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.1 if mean else 0, abs=1e-3)


def test_a_mean_is_refused_where_batch_norm_goes_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["train", "vgg11", "--data", str(tmp_path), "--out", str(tmp_path), "--stage", "quantised", "--mean"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit):
        main()


def test_freed_memory_is_kept_where_the_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Library:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            calls.append((parameter, value))
            return 1

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: Library)
    assert keep_freed_memory()
    assert len(calls) == 3
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())  # macOS has no mallopt
    assert not keep_freed_memory()

"""Train a network in stages that can stop and resume anywhere.

    python -m training.train vgg11 --data CIFAR10 --out runs/vgg11                       # full-precision twin
    python -m training.train vgg11 --data CIFAR10 --out runs/vgg11 --stage quantised     # starts from the twin
    python -m training.train vgg11 --data CIFAR10 --out runs/vgg11 --stage stepwise      # for stepwise firing too
    python -m training.train vgg11 --data CIFAR10 --out runs/vgg11 --stage export        # writes the ONNX file

Each stage keeps ``STAGE.pt`` (everything needed to resume) and ``STAGE.json`` (the log) in the output folder.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from pynq_snn.datasets import Dataset, load_dataset
from pynq_snn.pictures import crop
from training.augment import augment, cut_mix, normalise
from training.average import RunningMean
from training.memory import keep_freed_memory
from training.networks import NETWORKS
from training.quantisers import SpikeCount, quantise_weights, set_fan_outs, set_timesteps
from training.resume import set_starts, warm_start
from training.stepwise import Simulation, replayed


@dataclass(frozen=True)
class Recipe:
    """What a stage does; recorded in its log."""

    network: str
    stage: str
    epochs: int
    peak_learning_rate: float
    batch: int = 128
    warm_up: float = 0.2
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    timesteps: int = 8
    synops_weight: float = 0.0
    cutout: bool = False
    cutmix: float = 0.0
    small_epochs: int = 0
    short_timesteps: int = 0
    mean: bool = False
    distillation: float = 0.0
    teacher: str = ""
    teacher_network: str = ""
    pictures: int = 0
    size: int = 0
    jpeg_quality: int = 0
    seed: int = 1
    start: str = ""


DEFAULTS = {
    "float": {"epochs": 30, "peak_learning_rate": 0.05},
    "quantised": {"epochs": 8, "peak_learning_rate": 0.02},
    "stepwise": {"epochs": 2, "peak_learning_rate": 0.002},
}
SHORT_SHARE = 0.25  # of the batches see the short window, where there is one
TEMPERATURE = 2.0  # of distillation: softens the classes' scores
SHOW_LOSS = 20  # steps between losses in the progress bar: a GPU has to be waited for
MEAN_EVERY = 5  # steps between parameters that go into the mean
SAVE_SECONDS = 20.0  # between checkpoints: 90 MB each for ResNet-18, and an epoch on a GPU takes a second
GLANCE = 1000  # test pictures that are looked at between epochs, and after a trial on some of the training pictures
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of processors that compute in it; others imitate it, slowly
BEFORE = {"quantised": "float", "stepwise": "quantised"}  # the stage that a stage starts from


def build(recipe: Recipe, classes: int, picture: torch.Size) -> nn.Module:
    """Return the untrained network of a stage."""
    if recipe.stage == "float":
        return NETWORKS[recipe.network](classes=classes)
    network = NETWORKS[recipe.network](functools.partial(SpikeCount, recipe.timesteps), classes=classes)
    set_fan_outs(network, torch.zeros(1, 3, *picture))
    quantise_weights(network)
    return network


def load_teacher(recipe: Recipe, classes: int) -> nn.Module | None:
    """Return the full-precision network whose scores a stage learns to give; None where none is asked for.

    Raises
    ------
    SystemExit
        Its checkpoint is missing, or of another network.
    """
    if not recipe.distillation:
        return None
    if not Path(recipe.teacher).exists():
        raise SystemExit(f"{recipe.teacher}: no such checkpoint of a full-precision network; train it, or name one")
    teacher = NETWORKS[recipe.teacher_network or recipe.network](classes=classes)
    warm_start(teacher, Path(recipe.teacher))
    return teacher.eval().requires_grad_(False)


def batch_loss(
    network: nn.Module, teacher: nn.Module | None, x: torch.Tensor, labels: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    """Return the loss of a batch, synaptic operations included, under every firing order that the stage trains.

    Parameters
    ----------
    labels : int64 [N] or float32 [N, classes]
        Classes, or the share of each.
    """
    loss = torch.zeros((), device=x.device)
    wanted = teacher(x).float() if teacher else None
    orders: list[dict[SpikeCount, torch.Tensor]] = [{}]
    if recipe.stage == "stepwise":
        simulation = Simulation(network, timesteps_of(network))
        simulation.run(x)
        orders.append(simulation.counts)
    for counts in orders:
        with replayed(counts):
            logits = network(x).float()
        loss = loss + classification_loss(logits, wanted, labels, recipe)
        if recipe.synops_weight:
            loss = loss + recipe.synops_weight * sum(operations_of(network), torch.zeros((), device=x.device)) / 1e6
    return loss


def classification_loss(
    logits: torch.Tensor, wanted: torch.Tensor | None, labels: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    """Return cross entropy with the labels, mixed with the divergence from a teacher's scores where there is one.

    Notes
    -----
    Distillation as in Hinton et al. 2015 (arXiv 1503.02531): both scores at TEMPERATURE, times its square.
    """
    loss = nn.functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    if wanted is None:
        return loss
    soft, target = (nn.functional.log_softmax(scores / TEMPERATURE, dim=1) for scores in (logits, wanted))
    divergence = nn.functional.kl_div(soft, target, reduction="batchmean", log_target=True) * TEMPERATURE**2
    return (1 - recipe.distillation) * loss + recipe.distillation * divergence


def timesteps_of(network: nn.Module) -> int:
    """Return the number of timesteps that a quantised network fires in at present."""
    return next(module.timesteps for module in network.modules() if isinstance(module, SpikeCount))


def operations_of(network: nn.Module) -> list[torch.Tensor]:
    """Return the synaptic operations per image of each activation in the last forward pass."""
    return [m.synaptic_operations for m in network.modules() if isinstance(m, SpikeCount)]


def computes_in_bfloat16(device: torch.device, processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the hardware has bfloat16; where that cannot be told, it is taken to lack it."""
    if device.type != "cpu":
        return True
    return processor.exists() and not BFLOAT16_FLAGS.isdisjoint(processor.read_text().split())


def set_training(network: nn.Module, stage: str) -> None:
    """Switch to training; statistics of batch norm stay as they are where a spike's meaning hangs on them."""
    network.train()
    if stage == "stepwise":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay acts on weights alone: decaying thresholds or batch norm would trade accuracy for nothing."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def sized(dataset: Dataset, recipe: Recipe) -> Dataset:
    """Return the pictures in the size that training uses, scaled as for a network of that size in evaluation.

    Raises
    ------
    SystemExit
        They are smaller than the network needs.
    """
    if recipe.size:
        sides = (recipe.size, recipe.size)
        scaled = [np.asarray(crop(Image.fromarray(np.asarray(picture)), sides)) for picture in dataset.images]
        dataset = Dataset(np.stack(scaled), dataset.labels, dataset.classes)
    height, width = np.asarray(dataset.images).shape[1:3]
    needed = NETWORKS[recipe.network].smallest_picture
    if min(height, width) < needed:
        raise SystemExit(
            f"pictures of {width} x {height} pixels are too small for {recipe.network}; --size {needed} scales them"
        )
    return dataset


def to_device_images(dataset: Dataset, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return uint8 [N, 3, H, W] pictures and int64 [N] labels on `device`."""
    images = torch.from_numpy(np.ascontiguousarray(np.asarray(dataset.images).transpose(0, 3, 1, 2)))
    return images.to(device), torch.from_numpy(dataset.labels).to(device)


@torch.no_grad()
def evaluate(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, simulation: Simulation | None = None
) -> dict[str, Any]:
    """Return accuracy in percent, and for quantised networks firing rates and synaptic operations per image.

    With a `simulation`, spikes are those that it fires; else `counted_operations` are those of counts that travel as
    binary numbers, as under deferred firing.
    """
    network.eval()
    counts = [m for m in network.modules() if isinstance(m, SpikeCount)]
    correct, rates, operations = 0, np.zeros(len(counts)), 0.0
    batch = 100 if simulation else 500
    bits = BitCounter([] if simulation else counts)
    for start in range(0, len(images), batch):
        part = normalise(images[start : start + batch]).to(memory_format=torch.channels_last)
        if simulation:
            simulation.run(part)
        with replayed(simulation.counts if simulation else {}):
            correct += int((network(part).argmax(1) == labels[start : start + batch]).sum())
        rates += np.array([m.firing_rate for m in counts]) * len(part)
        operations += sum(float(m.synaptic_operations) for m in counts) * len(part)
    result: dict[str, Any] = {"accuracy": 100 * correct / len(images)}
    if counts:
        result["firing_rates"] = [round(rate, 5) for rate in rates / len(images)]
        result["thresholds"] = [round(float(m.threshold), 4) for m in counts]
        result["synaptic_operations"] = round(operations / len(images))
        if not simulation:
            result["counted_operations"] = round(float(bits.operations) / len(images))
    bits.close()
    return result


class BitCounter:
    """Adds up the additions of spike counts that travel as binary numbers: fan-out times bits that are set.

    Attributes
    ----------
    operations : float64 [] or 0.0
        Of all forward passes so far.
    """

    def __init__(self, counts: list[SpikeCount]):
        self.operations: Any = 0.0
        self._handles = [module.register_forward_hook(self._add) for module in counts]

    def _add(self, module: SpikeCount, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        count = (output / module.step).round().to(torch.uint8)
        bits = sum(((count >> bit) & 1).sum(dtype=torch.float64) for bit in range(module.timesteps.bit_length()))
        self.operations = self.operations + bits * module.fan_out

    def close(self) -> None:
        """Stop counting."""
        for handle in self._handles:
            handle.remove()


def train_epoch(
    network: nn.Module,
    teacher: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    recipe: Recipe,
    images: torch.Tensor,
    labels: torch.Tensor,
    title: str,
    small: bool,
    mean: RunningMean | None = None,
) -> float:
    """One pass over the training pictures, whose parameters go into `mean`; returns the mean loss."""
    set_training(network, recipe.stage)
    order = torch.randperm(len(images))
    total = torch.zeros((), device=images.device)  # read seldom: a GPU has to be waited for
    steps = len(images) // recipe.batch
    short_floats = computes_in_bfloat16(images.device)
    bar = tqdm(range(steps), desc=title, mininterval=5)
    for step in bar:
        chosen = order[step * recipe.batch : (step + 1) * recipe.batch].to(images.device, non_blocking=True)
        x = augment(images[chosen], recipe.cutout, small, recipe.jpeg_quality).to(memory_format=torch.channels_last)
        short = recipe.short_timesteps and float(torch.rand(())) < SHORT_SHARE
        set_timesteps(network, recipe.short_timesteps if short else recipe.timesteps)
        targets = labels[chosen]
        if recipe.cutmix and float(torch.rand(())) < recipe.cutmix:
            x, targets = cut_mix(x, targets, network.classifier.out_features)  # type: ignore[union-attr,arg-type]
        with torch.autocast(x.device.type, torch.bfloat16, enabled=short_floats):
            loss = batch_loss(network, teacher, x, targets, recipe)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.detach()
        if mean and step % MEAN_EVERY == 0:
            mean.add()
        if step % SHOW_LOSS == 0:
            bar.set_postfix_str(f"mean loss {float(total) / (step + 1):.3f}", refresh=False)
    set_timesteps(network, recipe.timesteps)
    return float(total) / steps


def schedule_of(optimiser: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rates of a stage: one cycle, or for a mean of parameters a warm-up and then the peak.

    Parameters
    ----------
    steps : int
        In an epoch.
    """
    if recipe.mean:
        rising = max(1, round(recipe.warm_up * recipe.epochs * steps))
        return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / rising))
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        recipe.peak_learning_rate,
        epochs=recipe.epochs,
        steps_per_epoch=steps,
        pct_start=recipe.warm_up,
        cycle_momentum=False,
    )


def run_stage(recipe: Recipe, data: Path, out: Path) -> None:
    """Train one stage to its end, resuming from its checkpoint where one exists."""
    torch.manual_seed(recipe.seed)
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    train, test = (sized(load_dataset(data, split), recipe) for split in ("train", "test"))
    train = train.first(recipe.pictures or None)
    images, labels = to_device_images(train, device)
    test_images, test_labels = to_device_images(test, device)
    network = build(recipe, len(train.classes), images.shape[2:])
    checkpoint, log_file = out / f"{recipe.stage}.pt", out / f"{recipe.stage}.json"
    if recipe.start and not checkpoint.exists():
        warm_start(network, Path(recipe.start))
    if recipe.stage == "stepwise":
        set_starts(network, Path(recipe.start))
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = load_teacher(recipe, len(train.classes))
    if teacher:
        teacher = teacher.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        parameter_groups(network, recipe.weight_decay), recipe.peak_learning_rate, momentum=0.9, nesterov=True
    )
    schedule = schedule_of(optimiser, recipe, len(images) // recipe.batch)
    log: dict[str, Any] = {
        "recipe": asdict(recipe),
        "data": data.name,
        "classes": train.classes,
        "size": list(images.shape[2:]),
        "test_count": len(test),
        "epochs": [],
    }
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"].cpu())
        log = json.loads(log_file.read_text())
    saved = time.perf_counter()
    for epoch in range(len(log["epochs"]), recipe.epochs):
        start = time.perf_counter()
        title = f"{recipe.network} {recipe.stage} {epoch + 1}/{recipe.epochs}"
        small = epoch < recipe.small_epochs
        is_last = epoch == recipe.epochs - 1
        mean = RunningMean(network) if recipe.mean and is_last else None
        loss = train_epoch(network, teacher, optimiser, schedule, recipe, images, labels, title, small, mean)
        if mean:
            mean.install()
        # A whole test set takes a tenth of an epoch on a CPU: between epochs, a sample says whether it goes well.
        is_result = is_last and not recipe.pictures
        count = len(test) if is_result else min(len(test), GLANCE)
        shown, shown_labels = test_images[:count], test_labels[:count]
        entry = {"loss": round(loss, 4), "pictures": count, **evaluate(network, shown, shown_labels)}
        if recipe.stage == "stepwise":
            entry["stepwise"] = evaluate(network, shown, shown_labels, Simulation(network, recipe.timesteps))
        if recipe.short_timesteps:
            set_timesteps(network, recipe.short_timesteps)
            entry["short"] = evaluate(network, shown, shown_labels)
            set_timesteps(network, recipe.timesteps)
        entry["seconds"] = round(time.perf_counter() - start, 1)
        log["epochs"].append(entry)
        print(json.dumps(entry), flush=True)
        if is_last or time.perf_counter() - saved > SAVE_SECONDS:
            _save(checkpoint, log_file, log, network, optimiser, schedule)
            saved = time.perf_counter()


def _save(checkpoint: Path, log_file: Path, log: dict[str, Any], network: Any, optimiser: Any, schedule: Any) -> None:
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "rng": torch.get_rng_state(),
    }
    partial = checkpoint.with_suffix(".partial")
    torch.save(state, partial)  # written aside and renamed: a stop in the middle leaves the last good one
    log_file.write_text(json.dumps(log, indent=1) + "\n")
    partial.replace(checkpoint)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 folder or archive, or Fashion-MNIST folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--stage", choices=["float", "quantised", "stepwise", "export"], default="float")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--timesteps", type=int, default=8)
    parser.add_argument("--synops-weight", type=float, default=0.0, help="loss per million additions per image")
    parser.add_argument("--short-timesteps", type=int, default=0, help="train a quarter of the batches at this T too")
    parser.add_argument(
        "--distillation", type=float, default=0.0, help="weight (0 to 1) of a teacher's scores in the loss"
    )
    parser.add_argument("--teacher", help="checkpoint or exported file of the twin (default: float.pt in OUT)")
    parser.add_argument(
        "--teacher-network", choices=sorted(NETWORKS), default="", help="what the teacher is (default: a twin)"
    )
    parser.add_argument("--peak-learning-rate", type=float)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--cutout", action="store_true", help="hide a square of each picture: for long trainings")
    parser.add_argument("--cutmix", type=float, default=0.0, help="share of batches with boxes of other pictures")
    parser.add_argument(
        "--small-epochs",
        type=int,
        default=0,
        help="first epochs on small crops: faster; not for networks with a fixed size",
    )
    parser.add_argument(
        "--start", help="checkpoint or exported model (.onnx) to start from (default: the stage before, in OUT)"
    )
    parser.add_argument("--pictures", type=int, default=0, help="first training pictures only, for a trial")
    parser.add_argument(
        "--jpeg-quality", type=int, default=0, help="JPEG compression of training pictures, after crop and flip"
    )
    parser.add_argument("--size", type=int, default=0, help="scale pictures to SIZE x SIZE pixels")
    parser.add_argument("--warm-up", type=float, default=Recipe.warm_up, help="share of the steps to the peak")
    parser.add_argument(
        "--mean",
        action="store_true",
        help="stay at the peak learning rate and keep the mean of the last epoch's parameters (stepwise stage)",
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.stage == "export":
        from training.export import export_run

        export_run(arguments.network, arguments.out)
        return
    if arguments.mean and arguments.stage != "stepwise":
        parser.error("--mean needs batch norm to stay as it is, which it does in the stepwise stage only")
    defaults = DEFAULTS[arguments.stage]
    before = BEFORE.get(arguments.stage)
    start = arguments.start or (str(arguments.out / f"{before}.pt") if before else "")
    recipe = Recipe(
        network=arguments.network,
        stage=arguments.stage,
        epochs=arguments.epochs or int(defaults["epochs"]),
        peak_learning_rate=arguments.peak_learning_rate or defaults["peak_learning_rate"],
        batch=arguments.batch,
        timesteps=arguments.timesteps,
        synops_weight=arguments.synops_weight,
        cutout=arguments.cutout,
        cutmix=arguments.cutmix,
        small_epochs=arguments.small_epochs,
        short_timesteps=arguments.short_timesteps,
        distillation=arguments.distillation,
        teacher=arguments.teacher or str(arguments.out / "float.pt"),
        teacher_network=arguments.teacher_network,
        pictures=arguments.pictures,
        size=arguments.size,
        jpeg_quality=arguments.jpeg_quality,
        warm_up=arguments.warm_up,
        mean=arguments.mean,
        seed=arguments.seed,
        start=start,
    )
    run_stage(recipe, arguments.data, arguments.out)


if __name__ == "__main__":
    main()

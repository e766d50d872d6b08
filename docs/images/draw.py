"""Draw docs/images/run.png: the bundled photograph, what the network sees of it, and what it says.

python docs/images/draw.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from PIL import Image

from pynq_snn import Accelerator
from pynq_snn.models import DEFAULT_MODEL
from pynq_snn.pictures import fit_picture

HERE = Path(__file__).parent
PICTURE = HERE.parents[1] / "examples" / "cat.png"
LABELS_SHOWN = 5


def main() -> None:
    """Run the default network and write the picture."""
    with Accelerator("kernel") as accelerator:
        network = accelerator.load(DEFAULT_MODEL)
        seen = fit_picture(PICTURE, network)
        ((*ranking,),) = accelerator.classify(seen[None], top=LABELS_SHOWN)
        operations = accelerator.last_run.synaptic_operations
    dense = network.macs * network.timesteps
    figure, (photograph, pixels, bars) = pyplot.subplots(
        1, 3, figsize=(10, 3.2), layout="constrained", width_ratios=(1.5, 1, 1.4)
    )
    photograph.imshow(np.asarray(Image.open(PICTURE).convert("RGB")))
    photograph.set_title("examples/cat.png")
    pixels.imshow(seen)
    pixels.set_title("what the network sees")
    for axes in (photograph, pixels):
        axes.set_axis_off()
    labels, probabilities = zip(*reversed(ranking), strict=True)
    bars.barh(labels, [100 * p for p in probabilities], color=["0.7"] * (len(labels) - 1) + ["#2a6f97"])
    bars.set(xlabel="probability (%)", xlim=(0, 100))
    bars.set_title(f"{operations / 1e6:.0f} M additions instead of {dense / 1e6:,.0f} M")
    bars.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "run.png", dpi=110)


if __name__ == "__main__":
    main()

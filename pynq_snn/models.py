"""Where the models that come with the package are."""

from __future__ import annotations

import os
from pathlib import Path

from pynq_snn.errors import ModelError

DEFAULT_MODEL = "vgg11"
MODEL_SUFFIX = ".onnx"
_PACKAGE = Path(__file__).parent


def model_folder() -> Path:
    """Return the folder of the shipped models: in the package, or at the top of a source tree it runs from."""
    installed = _PACKAGE / "data" / "models"
    return installed if installed.is_dir() else _PACKAGE.parent / "models"


def shipped_models() -> dict[str, Path]:
    """Return name and file of each shipped model, sorted by name."""
    return {path.stem: path for path in sorted(model_folder().glob("*" + MODEL_SUFFIX))}


def find_model(model: str | Path) -> Path:
    """Return the file of a model.

    Parameters
    ----------
    model : str or Path
        Name of a shipped model ("vgg11"), or the path of an ONNX file. A name that is also a file
        in the current folder is taken as the shipped model; write ``./vgg11`` for the file.

    Raises
    ------
    ModelError
        It is neither; the message lists the shipped models.
    """
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    path = Path(model)
    if path.is_dir():
        raise ModelError(f"{model}: is a folder; give the path of an {MODEL_SUFFIX} file")
    if path.exists():
        return path
    names = ", ".join(shipped) or "none"
    if path.suffix == MODEL_SUFFIX or os.sep in str(model):
        raise ModelError(f"{model}: no such file (shipped models, by name: {names})")
    raise ModelError(
        f"no model is named {str(model)!r}; shipped are: {names}; or give the path of an {MODEL_SUFFIX} file"
    )

"""Every error that pynq-snn raises on purpose.

A message names the value, the cause and the remedy on one line, because the command line prints it as it is.
"""

from __future__ import annotations


class PynqSnnError(Exception):
    """Base of all errors below: a problem that the user can act on."""


class DatasetError(PynqSnnError):
    """Pictures or labels for evaluation cannot be read."""


class PictureError(PynqSnnError):
    """A picture cannot be opened or has no usable size."""


class RecordingError(PynqSnnError):
    """A file of spike events cannot be read, or is not what the network reads."""


class ModelError(PynqSnnError):
    """An ONNX file is damaged, inconsistent, or uses something that the accelerator cannot do."""


class PlotError(PynqSnnError):
    """A plot lacks its data, or matplotlib."""


class PowerError(PynqSnnError):
    """A power meter is missing, is not what was asked for, or gave too little to tell an energy."""


class ProgramError(PynqSnnError):
    """A network does not fit the accelerator, or program bytes are damaged or of another version."""


class DeviceError(PynqSnnError):
    """A device is missing, refused the program, reported an error, or did not finish in time."""


class DeviceTimeout(DeviceError):
    """The device did not finish in time; it has been reset to idle."""


class ConversionWarning(UserWarning):
    """The network runs, but not exactly as the file describes it; the message says what differs."""

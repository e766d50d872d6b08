"""The scripts that made the shipped models (needs the ``train`` extra: PyTorch)."""

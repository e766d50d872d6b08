"""What pynq finds of this package by itself, through the entry points in pyproject.toml.

================== =====================================================================
``pynq.lib``       `drivers`: the driver behind ``Overlay("pynq_snn.bit").snn``
``pynq.overlays``  `overlays`: the folder in which pynq looks for ``pynq_snn.bit``
``pynq.notebooks`` `notebooks`: what ``pynq get-notebooks`` copies
================== =====================================================================
"""

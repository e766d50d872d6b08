"""Proofs about modules of the RTL, with yosys and an SMT solver: `python -m overlays.formal.prove`."""

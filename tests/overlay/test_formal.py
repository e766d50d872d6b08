"""The proofs about modules: that they are complete, and that a broken module fails them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from overlays.flow import tools
from overlays.flow.sources import RTL
from overlays.formal import prove

TOOLS_ARE_HERE = all(tools.find(need) for need in (tools.YOSYS, prove.SMTBMC, prove.SOLVER))
needs_tools = pytest.mark.skipif(not TOOLS_ARE_HERE, reason="no yosys-smtbmc with z3 here")
SLICE = next(proof for proof in prove.PROOFS if proof.module == "snn_skid" and proof.induction_cycles)


def test_every_proof_has_a_bench_and_says_for_how_long_it_holds() -> None:
    benches = {path.stem for path in prove.BENCHES.glob("*_proof.sv")}
    assert benches == {proof.bench for proof in prove.PROOFS}
    for proof in prove.PROOFS:
        assert all((RTL / f"{name}.sv").is_file() for name in (*proof.needs, proof.module))
        assert str(proof.induction_cycles or proof.first_cycles) in proof.scope


def test_the_results_are_of_the_present_sources() -> None:
    entries = json.loads(prove.REPORT.read_text())["proofs"]
    found = [{name: entry[name] for name in entry if name != "seconds"} for entry in entries]
    claims = [proof.claim() for proof in prove.PROOFS]
    assert found == [claim for claim in claims if claim in found]


@needs_tools
def test_a_slice_is_proved_and_a_broken_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    prove.prove(SLICE, tmp_path / "good")
    rtl, work = tmp_path / "rtl", tmp_path / "broken"
    shutil.copytree(RTL, rtl)
    work.mkdir()
    text = (rtl / "snn_skid.sv").read_text()
    assert text.count("spare_valid <= 1'b1;") == 1
    (rtl / "snn_skid.sv").write_text(text.replace("spare_valid <= 1'b1;", "spare_valid <= 1'b0;"))
    with pytest.raises(prove.Unproved, match="Assert failed"):
        prove.prove(SLICE, work, rtl)

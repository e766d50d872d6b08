"""Copies of drivers with many loads: the limit holds, and the netlist computes the same."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from overlays.flow import fan_out
from overlays.flow.netlist import Netlist

OUTPUTS = {"O", "Q", "CO"}
LOADS = 300


def cell(kind: str, **connections: list[int | str]) -> dict[str, Any]:
    directions = {port: "output" if port in OUTPUTS else "input" for port in connections}
    return {"type": kind, "port_directions": directions, "connections": connections}


def module() -> dict[str, Any]:
    """Return a table and a flip-flop with many loads each, and a carry whose loads cannot be divided."""
    cells = {
        "register": cell("FDRE", C=[1], CE=["1"], R=["0"], D=[2], Q=[3]),
        "select": cell("LUT2", I0=[3], I1=[4], O=[5]),
        "enable": cell("LUT1", I0=[3], O=[6]),
        "carry": cell("CARRY4", S=[5], CO=[7]),
    }
    names = {"select": [5], "carry_out": [7]}
    for index in range(LOADS):
        cells[f"table{index}"] = cell("LUT3", I0=[5], I1=[7], I2=[3], O=[1000 + index])
        cells[f"bit{index}"] = cell("FDRE", C=[1], CE=[6], R=["0"], D=[1000 + index], Q=[2000 + index])
        names[f"lanes[{index}].bit"] = [2000 + index]
    return {"attributes": {"top": "1"}, "cells": cells, "netnames": {k: {"bits": bits} for k, bits in names.items()}}


def without_copies(limited: dict[str, Any]) -> dict[str, Any]:
    """Return the cells that are no copies, fed by what the copies were made of."""
    cells = copy.deepcopy(limited["cells"])
    original: dict[int, int] = {}
    for name in [name for name in cells if ".copy" in name]:
        port = "O" if "O" in cells[name]["connections"] else "Q"
        source = cells[name.partition(".copy")[0]]["connections"][port][0]
        original[cells.pop(name)["connections"][port][0]] = source
    for each in cells.values():
        for bits in each["connections"].values():
            bits[:] = [original.get(bit, bit) for bit in bits]
    return cells


def test_no_net_keeps_more_loads_than_it_may() -> None:
    limited = module()
    assert fan_out.limit_fan_out(limited) > 0
    design = fan_out.Design(limited)
    for net, loads in design.loads.items():
        if net not in design.driver or design.cells[design.driver[net]]["type"] == "CARRY4":
            continue
        assert sum(not design.stays(load) for load in loads) <= fan_out.MOST_LOADS
    assert set(design.loads) <= {1, 2, 4} | set(design.driver)


def test_copies_do_what_they_were_copied_from() -> None:
    before, after = module(), module()
    fan_out.limit_fan_out(after)
    assert without_copies(after) == before["cells"]
    for name, twin in after["cells"].items():
        if ".copy" in name:  # inputs may come from copies, but from copies of the same
            first = after["cells"][name.partition(".copy")[0]]
            assert twin["type"] == first["type"] and twin["connections"].keys() == first["connections"].keys()


def test_loads_that_belong_together_keep_one_driver() -> None:
    limited = module()
    fan_out.limit_fan_out(limited)
    drivers = [limited["cells"][f"table{index}"]["connections"]["I0"][0] for index in range(LOADS)]
    changes = sum(one != other for one, other in zip(drivers, drivers[1:], strict=False))
    assert changes + 1 == len(set(drivers)) == -(-LOADS // fan_out.MOST_LOADS)
    assert limited["cells"]["carry"]["connections"]["S"] == [5], "a carry and its table share a slice"
    assert {limited["cells"][f"bit{index}"]["connections"]["CE"][0] for index in range(LOADS)} == {6}


def test_the_netlist_is_written_again_with_names_for_new_nets(tmp_path: Path) -> None:
    source, target = tmp_path / "source.json", tmp_path / "target.json"
    source.write_text(json.dumps({"modules": {"top": module()}}))
    copies = fan_out.write_limited(source, target)
    limited = Netlist.read(target)
    assert len(limited.cells) == len(module()["cells"]) + copies
    named = {bit for net in limited.modules["top"]["netnames"].values() for bit in net["bits"]}
    made = [one["connections"] for name, one in limited.cells.items() if ".copy" in name]
    assert all(({*one.get("O", ()), *one.get("Q", ())}) <= named for one in made)

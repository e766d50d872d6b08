"""Tests of the RTL need Verilator, a compiler, and a cache that outlives the test run."""

from __future__ import annotations

import pytest

from pynq_snn.devices.rtl_model import missing_tools


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    problem = missing_tools()
    if problem is None:
        return
    skip = pytest.mark.skip(reason=problem)
    for item in items:
        if "rtl_tools" in item.keywords:
            item.add_marker(skip)

"""Tools for agents, through the SDK's own client over stdio, and the API's reference."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ablation_lab.service.client import Submitted
from ablation_lab.service.describe import described, lines
from tests.cli.lab import ROOT, clean_environment
from tests.service.lab import Service


def test_the_reference_of_the_api_is_current() -> None:
    """Made anew by ``python -m ablation_lab.service.describe > docs/service-api.md``."""
    made = "\n".join(lines(described())).rstrip() + "\n"
    assert (ROOT / "docs" / "service-api.md").read_text(encoding="utf-8") == made


@pytest.mark.slow
def test_tools_read_what_a_service_knows(service: Service, done: Submitted) -> None:
    mcp: Any = import_module("mcp")  # of an extra
    started = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "ablation_lab", "mcp", "--server", service.url],
        env=clean_environment(service.folder),
        cwd=service.folder,
    )

    async def asked() -> dict[str, Any]:
        async with mcp.Client(started) as client:
            listed = (await client.list_tools()).tools
            assert all(tool.annotations.read_only_hint for tool in listed)
            said = {"": sorted(tool.name for tool in listed)}
            for name, given in {
                "list_studies": {},
                "study_result": {"study": "width"},
                "runs": {"study": done.id},
                "cells": {"study": "width", "first": 1},
                "lost": {"study": "nothing"},
            }.items():
                tool = "runs" if name == "lost" else name
                answer = await client.call_tool(tool, given)
                said[name] = answer.is_error, "".join(part.text for part in answer.content)
        return said

    said = asyncio.run(asked())
    assert said[""] == ["cells", "list_studies", "runs", "study_result"]
    assert not any(said[name][0] for name in ("list_studies", "study_result", "runs", "cells"))
    assert done.id in said["list_studies"][1]
    found = json.loads(said["study_result"][1])
    assert found["state"] == "succeeded"
    assert "width large and small" in found["finding"][0]["plain"]
    assert "| width" in found["table"]
    assert found["comparisons"].count("\n") >= 1
    assert len(said["runs"][1].splitlines()) == 5
    assert len(said["cells"][1].splitlines()) == 2
    assert said["lost"][0]
    assert "no study 'nothing'" in said["lost"][1]


def test_without_the_extra_a_line_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['mcp'] = None; from ablation_lab.cli import main; main(['mcp'])"
    call = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=clean_environment(tmp_path),
    )  # fmt: skip
    assert "pip install 'ablation-lab[mcp]'" in call.stderr
    assert call.stderr.count("\n") == 1

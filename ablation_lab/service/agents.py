"""`ablation mcp`: what a service knows, as tools for agents that only read (extra ``mcp``).

Comes in: the address of a service and a token, as for any client. Goes out: a server of the Model
Context Protocol on the standard input and output, whose tools ask the service. None changes
anything; a link that lets read is all that it takes.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from ablation_lab.service.client import Refused, Server, Submitted

MOST_ROWS = 500
READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
Study = Annotated[str, Field(description="the id of a study, or its name: the newest one")]
First = Annotated[int, Field(ge=0, description="the first row, counted from 0")]


def tools(server: Server) -> MCPServer[Any]:
    """Return the tools that read what a service knows."""
    made: MCPServer[Any] = MCPServer("ablation-lab", instructions="Results of ablation studies.")

    @made.tool(annotations=READS)
    def list_studies() -> list[dict[str, Any]]:
        """Return all submitted studies: id, name, question, state, progress."""
        keys = ("id", "study", "profile", "title", "question", "state", "progress", "user")
        return [{key: each[key] for key in keys} for each in server.studies()]

    @made.tool(annotations=READS)
    def study_result(study: Study) -> dict[str, Any]:
        """Return what a study found, its main table (Markdown) and its comparisons (CSV)."""
        found = _study(server, study)
        known = found.known
        folder = f"report/{known['study']}"
        section = json.loads(_text(server, f"{found.path}/{folder}/section.json") or "{}")
        return {
            "id": found.id,
            "study": known["study"],
            "question": known["question"],
            "state": known["state"],
            "finding": section.get("said", []),
            "table": _text(server, f"{found.path}/{folder}/table_main.md"),
            "comparisons": _text(server, f"{found.path}/comparisons.csv"),
        }

    @made.tool(annotations=READS)
    def runs(study: Study, first: First = 0) -> str:
        """Return every run of a study: factors, metrics, status (CSV), 500 at a time."""
        return _rows(server, study, "runs.csv", first)

    @made.tool(annotations=READS)
    def cells(study: Study, first: First = 0) -> str:
        """Return the cells of a study: factors, estimate, interval, n (CSV), 500 at a time."""
        return _rows(server, study, "cells.csv", first)

    return made


def _study(server: Server, name: str) -> Submitted:
    try:
        return server.study(name)
    except Refused as error:
        raise ToolError(str(error)) from None


def _rows(server: Server, study: str, name: str, first: int) -> str:
    found = _study(server, study)
    head, *rows = (_text(server, f"{found.path}/{name}") or "nothing yet").splitlines()
    return "\n".join([head, *rows[first : first + MOST_ROWS]])


def _text(server: Server, path: str) -> str:
    """Return a file of a report, '' where it is not written yet."""
    try:
        found = server.ask("GET", path)
    except Refused as error:
        if error.status == 404:
            return ""
        raise
    return found if isinstance(found, str) else json.dumps(found)


def serve(url: str) -> int:
    """Answer agents on the standard input and output until it ends."""
    tools(Server(url)).run("stdio")
    return 0

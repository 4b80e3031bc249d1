"""The files of a study's report, over HTTP: its tables and its pages."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from ablation_lab.service.api import ROOT, Lab, state_of
from ablation_lab.service.carrying import REPORTS, folder_of
from ablation_lab.service.problems import Problem
from ablation_lab.service.state import StudyState


def reports(lab: Lab) -> APIRouter:
    """Return what serves the files of a study's report."""
    router = APIRouter(prefix=ROOT, tags=["studies"])

    @router.get("/studies/{study}/{name}.csv")
    async def table(study: str, name: str) -> Response:
        """Return a table of the report: runs, cells, comparisons."""
        state = await state_of(lab, study)
        return _file(lab, state, f"{state.study}/{name}.csv")

    @router.get("/studies/{study}/report")
    async def report(study: str) -> Response:
        """Lead to the page of the report."""
        state = await state_of(lab, study)
        place = f"{ROOT}/studies/{study}/report/{state.study}.html"
        return Response(status_code=307, headers={"Location": place})

    @router.get("/studies/{study}/report/{path:path}")
    async def file(study: str, path: str) -> Response:
        """Return a file of the report."""
        return _file(lab, await state_of(lab, study), path)

    return router


def _file(lab: Lab, state: StudyState, path: str) -> Response:
    """Return a file of a study's report, from nowhere else."""
    reports = (folder_of(lab.project, state.id) / REPORTS / state.profile).resolve()
    wanted = (reports / path).resolve()
    if not wanted.is_relative_to(reports) or not wanted.is_file():
        return Problem(404, f"no file {path[:200]!r} in the report of {state.study}, {state.state}")
    return FileResponse(wanted)

"""`POST /api/v1/gate`: whether a candidate is kept, as `ablation gate` answers.

Comes in: a candidate, what it is held against, and a ledger. Goes out: the line of JSON that the
command line prints. A process of its own answers, which trains as long as it is asked to.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from ablation_lab.errors import ConfigurationError, redact
from ablation_lab.service.api import ROOT, Lab
from ablation_lab.service.carrying import folder_of
from ablation_lab.service.checking import Asked
from ablation_lab.service.problems import Problem

ANSWERED, WRONG = (0, 1, 3), 2
AT_ONCE = 2  # gates that are answered at a time
STARTS = 120.0  # seconds that an answer may take beyond those that it trains
Named = Annotated[str, Field(pattern=r"^\w[\w-]*(:[\w][\w=,. +-]*)?$", max_length=300)]
Word = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]


class Candidate(BaseModel):
    """What a gate is asked; a cell is named ``STUDY`` or ``STUDY:CELL``, or its study declared."""

    model_config = ConfigDict(extra="forbid")
    candidate: Named | dict[str, Any]
    cell: Annotated[str, Field(pattern=r"^([\w][\w=,. +-]*)?$", max_length=300)] = ""
    against: Named = "baseline"
    metric: Word | None = None
    ledger: Word = "default"
    profile: Word | None = None
    minutes: Annotated[float, Field(ge=0, le=600)] = 0
    replicates: Annotated[int, Field(ge=1)] | None = None


def gating(lab: Lab) -> APIRouter:
    """Return what answers for loops that propose one candidate after another."""
    router, turn = APIRouter(prefix=ROOT, tags=["gate"]), asyncio.Semaphore(AT_ONCE)

    @router.post("/gate")
    async def gate(request: Request, asked: Candidate) -> Response:
        """Say accept, reject or more; ``minutes`` may be trained for it, 0 without."""
        if isinstance(asked.candidate, dict):
            asked = await asyncio.to_thread(_declared, lab, asked, asked.candidate)
        async with turn:
            return await _answered(lab, asked, request.state.user.name)

    return router


def _declared(lab: Lab, asked: Candidate, content: dict[str, Any]) -> Candidate:
    """Write the file of a candidate that was declared; return what is asked of that file."""
    checked = lab.checker.check(Asked(json.dumps(content), asked.profile or "", is_json=True))
    path = folder_of(lab.project, checked.id) / f"{checked.study}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(checked.text, encoding="utf-8")
    return asked.model_copy(update={"candidate": str(path), "profile": checked.profile})


def _command(lab: Lab, asked: Candidate) -> list[str]:
    named = {"--against": asked.against, "--metric": asked.metric, "--alpha-ledger": asked.ledger}
    options = [each for name, value in named.items() if value for each in (name, value)]
    settings = {
        "profile": asked.profile, "now.minutes": asked.minutes, "now.replicates": asked.replicates
    }  # fmt: skip
    words = [f"{name}={value}" for name, value in settings.items() if value is not None]
    candidate = f"{asked.candidate}:{asked.cell}" if asked.cell else str(asked.candidate)
    return [sys.executable, "-m", "ablation_lab", "gate", candidate, *options, *lab.words, *words]


async def _answered(lab: Lab, asked: Candidate, user: str) -> Response:
    # The ledger keeps who asked: that is whose process it is.
    environment = os.environ | ({"LOGNAME": user} if user else {})
    process = await asyncio.create_subprocess_exec(
        *_command(lab, asked), cwd=lab.project, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        limit = 60 * asked.minutes + STARTS
        said, wrong = await asyncio.wait_for(process.communicate(), limit)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
    if process.returncode in ANSWERED and said:
        return JSONResponse(json.loads(said.splitlines()[-1]))
    line = redact(wrong.decode(errors="replace").strip().rpartition("\n")[2])
    line = line.removeprefix("error: ").replace(f"{Path(str(asked.candidate)).parent}/", "")
    if process.returncode == WRONG:
        raise ConfigurationError(line)
    return Problem(500, line or "the gate gave no answer")

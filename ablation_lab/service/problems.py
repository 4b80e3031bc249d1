"""Errors as RFC 9457 wants them, with the line that the command line would say."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse


class Problem(JSONResponse):
    """A problem: its status, and one line that says what, where, expected, found."""

    media_type = "application/problem+json"

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        title = HTTPStatus(status).phrase
        content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        super().__init__(content, status, headers)

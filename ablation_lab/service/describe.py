"""``python -m ablation_lab.service.describe``: the API's reference, from its own description."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, cast

from fastapi import FastAPI

from ablation_lab.service.api import Lab, routes
from ablation_lab.service.app import answer_machines
from ablation_lab.service.audit import Audit, auditing
from ablation_lab.service.gating import gating
from ablation_lab.service.reports import reports
from ablation_lab.service.rights import needed

HEAD = """\
# The API

Made from the service's own description (`/api/v1/openapi.json`) by
`python -m ablation_lab.service.describe > docs/service-api.md`. Answers are JSON unless something
else is said; errors are problem details (RFC 9457) with the line that the command line says: 401
without an active token, 403 for what its scope or a study's owner does not let, 404 for no such
study, 409 for what its state does not let, 413 and 422 for a wrong body, 429 for too many requests,
503 while the queue is full or the database away. *Scope* is what a token needs where tokens are
asked for ([users](service.md#users)).
"""


def described() -> dict[str, Any]:
    """Return what the API says of itself."""
    app, lab = FastAPI(title="Ablation Lab", version="1"), cast("Lab", None)
    app.include_router(routes(lab))
    app.include_router(reports(lab))
    app.include_router(gating(lab))
    app.include_router(auditing(cast("Audit", None)))
    answer_machines(app, lab)
    return app.openapi()


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the reference, line by line."""
    yield HEAD
    for path, methods in found["paths"].items():
        for method, said in methods.items():
            yield from _operation(method.upper(), path, said, found)


def _operation(
    method: str, path: str, said: dict[str, Any], found: dict[str, Any]
) -> Iterator[str]:
    yield f"## {method} {path}\n"
    scope = needed(method, path.replace("{", "").replace("}", ""))
    yield f"{said['description']} Scope: {scope or 'none'}.\n"
    rows = [_parameter(each) for each in said.get("parameters", ())]
    for kind, body in said.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(body["schema"], found)
        fields = schema.get("properties", {}).items()
        must = schema.get("required", ())
        rows += [_row(name, "body", each, name in must) for name, each in fields]
        yield f"Body: `{kind}`.\n"
    if rows:
        yield "| name | in | what | without it |\n| --- | --- | --- | --- |"
        yield from rows
        yield ""


def _parameter(said: dict[str, Any]) -> str:
    return _row(said["name"], said["in"], said["schema"], said.get("required", False))


def _row(name: str, place: str, schema: dict[str, Any], required: bool) -> str:
    default = "required" if required else f"`{json.dumps(schema.get('default'))}`"
    return f"| `{name}` | {place} | {_kind(schema)} | {default} |"


def _kind(schema: dict[str, Any]) -> str:
    """Return what a value may be, in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return "one of cancel, pause, resume"
    ends = [schema[key] for key in ("minimum", "maximum") if key in schema]
    return f"{schema.get('type', 'any')}{f' from {ends[0]}' if ends else ''}" + (
        f" to {ends[1]}" if len(ends) > 1 else ""
    )


def _resolved(schema: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    return cast("dict[str, Any]", found["components"]["schemas"][name])


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines(described())).rstrip() + "\n")

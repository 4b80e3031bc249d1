"""What a file may say, for machines and for people: JSON Schema, and the page of all keys.

Comes in: the models of a study's file and of a file of reference values. Goes out: their JSON
Schema, which editors complete and check YAML by, and `docs/reference.md`, which is made from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ablation_lab.study.command import Command, Limits
from ablation_lab.study.references import ReferenceFile
from ablation_lab.study.run import Ensemble, Training
from ablation_lab.study.schema import Study

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PAGE = """# What a file may say

Made from the schema by `reference_page()` of `ablation_lab/study/reference.py`; a test holds that
it is current. A key that stands nowhere here is refused, with the nearest one that does.
"""

Schema = Mapping[str, Any]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``conf/study/<name>.yaml``: one key, the study's name."""
    study = Study.model_json_schema()
    definitions = study.pop("$defs")
    return {
        "$schema": DIALECT,
        "title": "A study of Ablation Lab",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": study,
        "$defs": definitions,
    }


def reference_page() -> str:
    """Return ``docs/reference.md``: every key with its type, its default and one sentence."""
    sections = [
        *_sections("A study: `conf/study/<name>.yaml`, under its name", Study.model_json_schema()),
        *_sections("Training: `run.training` of a study, or `training.KEY`",
                   Training.model_json_schema()),
        *_sections("Ensembles: `run.ensemble`", Ensemble.model_json_schema()),
        *_sections("A command: keys of `run`, beside `params`, the settings that it takes",
                   Command.model_json_schema()),
        *_sections("Limits: `run.limits`", Limits.model_json_schema()),
        *_sections("Reference values: `conf/references/<source>.yaml`",
                   ReferenceFile.model_json_schema()),
    ]  # fmt: skip
    return "\n".join([PAGE, *sections])


def _sections(title: str, schema: Schema) -> Iterator[str]:
    """Yield the table of a file, then those of what it is made of."""
    parts = schema.get("$defs", {})
    yield _section(f"## {title}", schema, parts)
    for name, part in parts.items():
        if "properties" in part:
            yield _section(f"### {name}", part, parts)


def _section(heading: str, schema: Schema, parts: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        f"| `{key}` | {_type(spec, parts)} | {_default(key, spec, required)} | "
        f"{spec.get('description', '')} |"
        for key, spec in schema["properties"].items()
    ]
    first = schema.get("description", "").split("\n\n")[0].replace("\n", " ")
    head = ["| key | type | default | |", "| --- | --- | --- | --- |"]
    return "\n".join([heading, "", first, "", *head, *rows, ""])


def _default(key: str, spec: Schema, required: Any) -> str:
    if key in required:
        return "required"
    value = spec.get("default")
    if value is None or value in ("", [], {}):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _type(spec: Schema, parts: Schema) -> str:
    """Say a type in words."""
    if "$ref" in spec:
        name = str(spec["$ref"].rpartition("/")[2])
        values = parts[name].get("enum", ())
        return " or ".join(f"`{value}`" for value in values if value) or name
    if values := spec.get("enum", [spec["const"]] if "const" in spec else []):
        return " or ".join(f"`{value}`" for value in values)
    if "anyOf" in spec:
        kinds = (_type(each, parts) for each in spec["anyOf"] if each.get("type") != "null")
        return " or ".join(dict.fromkeys(kinds))
    if spec.get("type") == "array":
        return f"list of {_type(spec['items'], parts)}" if "items" in spec else "list"
    inner = spec.get("additionalProperties")
    if isinstance(inner, Mapping):
        return f"mapping to {_type(inner, parts)}"
    kind = spec.get("type", "anything")
    return kind if isinstance(kind, str) else "text, number or truth"

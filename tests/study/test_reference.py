"""The schema that machines and people read is that of the models, and its page is current."""

from __future__ import annotations

from pathlib import Path

from ablation_lab.study.reference import json_schema, reference_page
from ablation_lab.study.schema import Study

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"


def test_the_page_is_current() -> None:
    made = reference_page()
    assert PAGE.read_text(encoding="utf-8") == made, (
        "docs/reference.md is out of date: write reference_page() of ablation_lab.study.reference "
        "into it"
    )


def test_the_schema_has_what_may_be_written_and_nothing_else() -> None:
    schema = json_schema()
    study = schema["additionalProperties"]
    assert sorted(study["properties"]) == sorted(Study.known())
    assert set(study["required"]) >= {"title", "question", "factors", "profiles", "run"}
    assert study["additionalProperties"] is False
    assert "settings" not in schema["$defs"]["Factor"]["properties"]
    assert {"key", "levels", "role"} <= set(schema["$defs"]["Factor"]["properties"])


def test_every_key_has_its_sentence() -> None:
    rows = [line for line in reference_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.split("|")[-2].strip() == ""] == []

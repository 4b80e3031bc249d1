"""What the lab keeps in MLflow is named in one place, as in the stores that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ablation_lab.store import tags
from ablation_lab.store.tags import File, Tag, having, plain, replicates_of

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile("|".join(rf"{re.escape(name)}(?!\w)" for name in [*Tag, tags.NOTE, tags.VIEW]))


def test_a_tag_is_written_out_in_one_file() -> None:
    found = {
        path.name
        for package in ("ablation_lab", "experiments", "lightning_modules")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and NAMES.search(str(node.value))
    }
    assert found == {"tags.py"}


def test_the_names_of_stores_that_exist_stay() -> None:
    """A new name may be added; one that is changed is not found in any store."""
    assert {
        "ablation.key",
        "ablation.study",
        "ablation.profile",
        "ablation.cell",
        "ablation.replicate",
        "ablation.status",
        "ablation.nc_rule",
        "ablation.trainer",
        "ablation.driver",
        "ablation.config",
        "ablation.provenance",
        "ablation.tuned",
        "ablation.error",
        "ablation.adopted_from",
        "ablation.kind",
        "ablation.replicates",
    } <= set(Tag)
    assert {"test_logits.npz", "samples.png", "observation.json", "declaration.json"} <= set(File)
    assert replicates_of("xor_depth") == "xor_depth.replicates"


def test_a_filter_is_mlflows_and_tags_are_of_str() -> None:
    assert having({Tag.KIND: "cell", Tag.PROFILE: "quick"}) == (
        "tags.`ablation.kind` = 'cell' and tags.`ablation.profile` = 'quick'"
    )
    assert {type(part) for pair in plain({Tag.KEY: File.LOGITS}).items() for part in pair} == {str}

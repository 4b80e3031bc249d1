"""Keys of runs as they would be if files of source had another text; nothing is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from ablation_lab.study import fingerprint, key
from ablation_lab.study.fingerprint import Code
from ablation_lab.study.settings import resolve
from ablation_lab.study.sources import Sources
from lightning_modules.registry import ROOT

Texts = dict[Path, str | None]
UNCHANGED: Mapping[Path, str | None] = MappingProxyType({})

XOR: dict[str, Any] = {
    "model": {"family": "mlp", "widths": [3], "activation": "tanh", "init": "xavier_caffe",
              "bias_init": "uniform"},
    "data": {"name": "xor"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "training": {"steps": 20, "loss": "unclipped"},
}  # fmt: skip


def configured(**settings: Any) -> dict[str, Any]:
    """Return the small run with other settings: ``model__init="zeros"``, or whole sections."""
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return resolve(XOR, [changes], "a test")


@contextmanager
def instead(texts: Mapping[Path, str | None]) -> Iterator[None]:
    """Take these texts for those of the files; None for a file that is gone."""
    code = Code(Sources(texts)) if texts else fingerprint.code()
    with pytest.MonkeyPatch.context() as patch:
        for module in (fingerprint, key):
            patch.setattr(module, "code", lambda: code)
        forget()
        try:
            yield
        finally:
            forget()


def forget() -> None:
    """Let keys be taken anew; in a real process the code is read once."""
    fingerprint.fingerprint.cache_clear()
    key.config_digest.cache_clear()


def keys(
    runs: Mapping[str, Mapping[str, Any]], texts: Mapping[Path, str | None] = UNCHANGED
) -> dict[str, str]:
    """Return name -> key of the runs with these configurations."""
    with instead(texts):
        return {name: key.run_key(config, 0, 0) for name, config in runs.items()}


def key_of(config: Mapping[str, Any], texts: Mapping[Path, str | None] = UNCHANGED) -> str:
    """Return the key of a run with this configuration."""
    return keys({"run": config}, texts)["run"]


def edited(*edits: tuple[str, str, str]) -> Texts:
    """Return the texts of files after these edits: path, old, new."""
    texts: dict[Path, str] = {}
    for path, old, new in edits:
        text = texts.get(ROOT / path) or (ROOT / path).read_text()
        assert old in text, f"{path}: {old}"
        texts[ROOT / path] = text.replace(old, new, 1)
    return {**texts}


def mutated(path: Path, name: str) -> Texts:
    """Return a file in which the first statement inside a function or class has company."""
    text = path.read_text()
    (found,) = [node for node in ast.parse(text).body if getattr(node, "name", None) == name]
    first = min(
        (node for node in ast.walk(found) if _is_simple(node)), key=lambda node: node.lineno
    )
    lines = text.splitlines(keepends=True)
    line = lines[first.lineno - 1].encode()
    at = first.col_offset
    lines[first.lineno - 1] = (line[:at] + b"assert True; " + line[at:]).decode()
    return {path: "".join(lines)}


def _is_simple(node: ast.AST) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Return | ast.Assign | ast.AugAssign | ast.Expr) and not docstring

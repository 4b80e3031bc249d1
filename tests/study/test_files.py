"""YAML files are data: what Hydra could take for code, or would fill the memory, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.files import read_yaml


def read(folder: Path, content: str | bytes) -> object:
    path = folder / "tiny.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


def test_plain_settings_are_read(tmp_path: Path) -> None:
    text = "# @home\ntiny: {a: 1, b: [x, 2.5, null], c: '${oc.env:HOME,nowhere}', d: '${tiny.a}'}\n"
    values = {"a": 1, "b": ["x", 2.5, None], "c": "${oc.env:HOME,nowhere}", "d": "${tiny.a}"}
    assert read(tmp_path, text.replace("# @home\n", "# by me@home\n")) == {"tiny": values}


def test_aliases_are_read_where_they_are_few(tmp_path: Path) -> None:
    text = "tiny: {a: &sizes [1, 2], b: *sizes}\n"
    assert read(tmp_path, text) == {"tiny": {"a": [1, 2], "b": [1, 2]}}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("# @package hydra\ntiny: 1\n", "tiny.yaml, line 1: expected a comment, found a directive"),
        ("# first\n\n  #@package _global_\ntiny: 1\n", "tiny.yaml, line 3: expected a comment"),
        ("tiny: 1\ndefaults: [/hydra/callbacks: x]\n", "key 'defaults': expected settings"),
        ("tiny: {x: [{_target_: pandas.read_pickle}]}", "tiny.x.0._target_: a configuration names"),
        ("tiny: {x: {_args_: [a]}}", "tiny.x._args_: a configuration names no code to run"),
        ("tiny: {x: '${oc.create:{a: 1}}'}", "tiny.x: unknown resolver 'oc.create'"),
        ("tiny: {x: 'a ${hydra:job.name}'}", "tiny.x: unknown resolver 'hydra'"),
        ("tiny: {x: '${ now:%Y}'}", "tiny.x: unknown resolver 'now'"),
        ("tiny: {x: '${${tiny.y}:a}', y: oc.create}", "unknown resolver '${tiny.y}'"),
        ("tiny: {x: '${${${tiny.y}}:a}', y: z, z: oc.create}", "tiny.x: expected a key as it is"),
        ("tiny: {x: '${oc.env:${oc.decode:A}}'}", "unknown resolver 'oc.decode'"),
        ("tiny: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        (BOMB, "line 5: expected at most 100,000 values, found more"),
        ("tiny: &a [*a]", "tiny.yaml, line 1: alias 'a' stands within itself"),
        ("[" * 100_000, "line 1"),  # by us, or by a parser that counts to fewer
        ("- " * 5_000, "tiny.yaml, line 1: expected at most 32 mappings and lists"),
        ("{a: " * 5_000, "tiny.yaml, line 1: expected at most 32 mappings and lists"),
        ("tiny: 1\n".encode("utf-16"), "expected UTF-8, found byte 0xff at 0; save the file as"),
        (b"tiny: \xe4\n", "expected UTF-8, found byte 0xe4 at 6"),
        (b"tiny: a\x00b\n", "tiny.yaml: no YAML: "),
        (b"#" * (1 << 20) + b"\n", "expected at most 1,048,576 bytes, found 1,048,577"),
        ("tiny: [a\n", "line 2, column 1"),
        ("tiny: {2026-99-99: 1}", "tiny.yaml: no YAML: month must be in 1..12"),
        ("tiny: {[a]: 1}", "tiny.yaml: no YAML: "),
    ],
)
def test_anything_else_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, line: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, content)
    assert line in str(error.value)
    assert "tiny.yaml" in str(error.value)
    assert "\n" not in str(error.value)

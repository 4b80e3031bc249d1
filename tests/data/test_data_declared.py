"""What is declared is the identity of the data, and what a reader gives must agree with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablation_lab.data import (
    Alternative,
    DataError,
    DataFile,
    Dataset,
    Part,
    TrainingData,
    checksum,
    content_sum,
    load,
    loading,
    verify,
)
from ablation_lab.data.files import verified_sources
from lightning_modules.registry import Registry

ROW = np.zeros((2, 1), np.float32)
CLASS = np.zeros(2, np.int64)


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def read_nothing(_contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return two rows of zeros for every part."""
    part = Part(ROW, CLASS)
    return TrainingData(train=part, validation=part), part


DECLARED = Dataset(
    name="small_set",
    shape=(1,),
    classes=1,
    examples=3,
    files=(DataFile("one", sha(b"1"), alternatives=("ONE",)), DataFile("two", sha(b"2"))),
    about="two files",
    read=read_nothing,
)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry[Dataset]:
    """Give an empty registry."""
    empty: Registry[Dataset] = Registry("data set")
    monkeypatch.setattr(loading, "DATASETS", empty)
    return empty


def test_a_plain_path_is_another_place_of_the_same_bytes(tmp_path: Path) -> None:
    file = DECLARED.files[0]
    assert file.forms() == (Alternative("one", sha(b"1")), Alternative("ONE", sha(b"1")))
    (tmp_path / "ONE").write_bytes(b"1")
    sources = verified_sources(replace(DECLARED, files=(file,)), tmp_path)
    assert sources["one"].raw == b"1"


def test_checksum_is_stable_and_sees_every_declared_change(registry: Registry[Dataset]) -> None:
    first = DECLARED
    changed = (
        replace(first, version="2"),
        replace(first, shape=(2,)),
        replace(first, classes=3),
        replace(first, embedded=sha(b"")),
        replace(first, files=first.files[:1]),
        replace(first, files=(replace(first.files[0], sha256=sha(b"")), first.files[1])),
    )
    same = (
        first,
        replace(first, about="other words"),
        replace(first, files=tuple(replace(file, alternatives=()) for file in first.files)),
    )
    for number, dataset in enumerate((*same, *changed)):
        registry.register(str(number))(dataset)
    sums = [checksum(name) for name in registry.names()]
    assert len(set(sums[:3])) == 1
    assert len(set(sums)) == 1 + len(changed)


def test_embedded_data_is_compared_with_its_sum(registry: Registry[Dataset]) -> None:
    right = content_sum(*read_nothing({}))
    made = replace(DECLARED, files=(), embedded=right)
    registry.register("right")(made)
    registry.register("wrong")(replace(made, name="wrong", embedded=sha(b"")))
    verify("right")
    with pytest.raises(DataError, match=f"wrong: expected content sum {sha(b'')}, found {right}"):
        verify("wrong")
    with pytest.raises(DataError, match=f"wrong: expected content sum {sha(b'')}, found {right}"):
        load("wrong")


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Part(ROW.astype(float), CLASS), "type of x in the test part: expected float32"),
        (Part(ROW, CLASS.astype(np.int32)), "type of y in the test part: expected int64"),
        (Part(ROW[:, 0], CLASS), r"shape of a row in the test part: expected \(1,\), found \(\)"),
        (Part(ROW, CLASS[:1]), "number of labels in the test part: expected 2, found 1"),
        (Part(ROW[:0], CLASS[:0]), "number of rows in the test part: expected at least 1, found 0"),
        (Part(ROW, CLASS + 2), "labels in the test part: expected 0 to 1, found 2 to 2"),
        (Part(ROW * np.float32("nan"), CLASS), "values of x in the test part: expected finite"),
    ],
)
def test_a_reader_that_breaks_the_contract_is_named(
    registry: Registry[Dataset], part: Part, words: str
) -> None:
    good = Part(ROW, CLASS)
    parts = (TrainingData(train=good, validation=good), part)
    registry.register("mine")(replace(DECLARED, name="mine", files=(), read=lambda _: parts))
    with pytest.raises(DataError, match=words):
        load("mine")

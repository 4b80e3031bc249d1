"""The lectures' regressions, sequences and the lost file: the printed numbers, and refusals."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from ablation_lab.data import DataError, load, verify
from experiments.data.images import normalise, read_all, read_contrast, read_printed
from experiments.data.tables import read_scores, read_stock
from experiments.data.toys import HELLO_CHARACTERS, NAME, NAME_CHARACTERS

# s1-charrnn-index: the index sequence under the printed dictionary.
PRINTED = [4, 11, 5, 4, 1, 14, 2, 0, 4, 8, 7, 4, 3, 13, 13, 1, 9, 6, 0, 13, 1, 4, 10, 8, 2, 12]


def test_characters_have_their_printed_numbers() -> None:
    training, _ = load("name_text")
    x, y = training.train.x[0], training.train.y[0]
    assert [NAME_CHARACTERS.index(character) for character in NAME] == PRINTED
    assert x.argmax(1).tolist() == PRINTED[:-1]
    assert y.tolist() == PRINTED[1:]
    assert x.sum() == len(x) == 25


def test_hihello_predicts_the_next_character() -> None:
    training, _ = load("hihello")
    read = [HELLO_CHARACTERS[i] for i in training.train.x[0].argmax(1)]
    told = [HELLO_CHARACTERS[i] for i in training.train.y[0]]
    assert "".join(read) == "hihell"
    assert "".join(told) == "ihello"


def test_the_lines_ask_for_one_point() -> None:
    for name, question, answer in (("line2", [[4, 4]], 40), ("line1", [[4]], 4)):
        training, test = load(name)
        assert test.x.tolist() == question
        assert test.y.item() == answer
        slope = training.train.y / training.train.x.sum(1, keepdims=True)
        assert np.allclose(slope, slope[0])


def test_ramp_windows_go_on_with_their_target() -> None:
    training, test = load("ramp")
    for part in (training.train, test):
        rows = np.concatenate([part.x[..., 0], part.y], axis=1)
        assert np.diff(rows, axis=1) == pytest.approx(0.01, abs=1e-6)
    first = np.concatenate([training.train.x[:, 0, 0], test.x[:, 0, 0]])
    assert sorted(first) == pytest.approx(np.arange(100) / 100)


def test_scores_and_stock_rows(tmp_path: Path) -> None:
    training, test = read_scores({"scores": b"73,80,75,152\n93,88,93,185\n"})
    assert training.train.x.tolist() == test.x.tolist() == [[73, 80, 75], [93, 88, 93]]
    assert test.y.tolist() == [[152], [185]]
    # 40 days, newest first; the last column is the close.
    days = np.arange(40.0)
    table = np.stack([days, days, days, days, 100 + days], axis=1)[::-1]
    training, test = read_stock({"stock": "\n".join(",".join(map(str, r)) for r in table).encode()})
    assert training.train.x.shape == (28 - 7, 7, 5)
    assert test.x.shape == (40 - 28, 7, 5)
    # Oldest first, and every part scaled by itself: the target goes on where its window ends.
    for part, rows in ((training.train, 28), (test, 19)):
        assert part.y[:, 0] == pytest.approx(np.arange(7, rows) / (rows - 1))
        assert part.x[:, -1, -1] == pytest.approx(part.y[:, 0] - 1 / (rows - 1))


def test_the_lost_file_is_described_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DataError) as error:
        verify("admission", tmp_path)
    line = str(error.value)
    assert "\n" not in line
    for words in (
        "lectures/Data_logistic.txt",
        "ABLATION_DATA",
        "two numbers and the class 0 or 1",
    ):
        assert words in line


def test_who_has_the_lost_file_can_use_it(tmp_path: Path) -> None:
    file = tmp_path / "lectures" / "Data_logistic.txt"
    file.parent.mkdir()
    file.write_text("".join(f"{i} {i / 2} {i % 2}\n" for i in range(25)))
    training, test = load("admission", tmp_path)
    assert len(training.train) == 15
    assert test.x[:, 0].tolist() == list(range(15, 25))
    assert test.y.tolist() == [i % 2 for i in range(15, 25)]
    file.write_text("1 2 3\n" * 25)
    with pytest.raises(DataError, match=r"expected one row for each applicant.*found 25 rows of 3"):
        load("admission", tmp_path)


def test_cifar_variants_are_the_same_images_scaled_otherwise() -> None:
    draw = np.random.default_rng(0)

    def batch(count: int) -> bytes:
        pixels = draw.integers(0, 256, (count, 3072)).astype(np.uint8)
        return pickle.dumps({b"data": pixels, b"labels": list(range(count))})

    contents = {"train": batch(6), "test": batch(120)}
    plain, test = read_all(contents)
    raw, last = read_printed(contents)
    assert plain.train.x.shape == (6, 3, 32, 32)
    assert plain.train.x.max() <= 1
    assert np.array_equal(raw.train.x, np.rint(plain.train.x * 255))
    assert last.y.tolist() == list(range(20, 120))
    assert np.array_equal(last.x, np.rint(test.x[20:] * 255))
    even, _ = read_contrast(contents)
    # What is left after the mean image has no mean in any pixel.
    assert even.train.x.mean(0) == pytest.approx(0, abs=1e-5)
    images = plain.train.x.copy()
    normalise(images)
    assert images.mean((1, 2, 3)) == pytest.approx(0, abs=1e-5)
    assert np.square(images).mean((1, 2, 3)) == pytest.approx(1, rel=1e-4)

"""The readers accept their format, and refuse anything else in one line."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from ablation_lab.data import DataError
from ablation_lab.data.cifar import parse_batch, read_cifar
from ablation_lab.data.mnist import NAMES, parse_idx, read_idx
from experiments.data.tables import labelled, read_last, table

RNG = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    """Return an array of bytes in the IDX format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes()


def batch(count: int, start: int = 0) -> bytes:
    """Return a pickled batch of the CIFAR-10 kind, whose labels count up from `start`."""
    pixels = RNG.integers(0, 256, (count, 3072), dtype=np.uint8)
    labels = [row % 10 for row in range(start, start + count)]
    return pickle.dumps({b"data": pixels, b"labels": labels}, protocol=4)


def idx_files(*, train: int = 12, test: int = 4) -> dict[str, bytes]:
    """Return four small files; pixel and label of image i are i."""
    arrays = []
    for count in (train, test):
        rows = np.arange(count, dtype=np.uint8)
        arrays += [np.broadcast_to(rows[:, None, None], (count, 2, 3)), rows]
    return {f"tiny/{name}": idx(array) for name, array in zip(NAMES, arrays, strict=True)}


def refusal(raised: pytest.ExceptionInfo[DataError]) -> str:
    """Return the message, which must be one line without a traceback."""
    message = str(raised.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def test_idx_gives_back_what_was_written() -> None:
    array = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    assert np.array_equal(parse_idx(idx(array), name="a", rank=3), array)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x00\x00\x0d\x01" + bytes(8), "expected IDX magic number 00000801, found 00000d01"),
        (b"<html>", "expected IDX magic number 00000801, found 3c68746d"),
        (b"", "found nothing"),
        (bytes((0, 0, 8, 1, 0, 0)), "the header ends early, after 6 bytes"),
        (idx(np.zeros(9))[:-1], "expected 9 bytes for sizes (9,), found 8"),
        (idx(np.zeros(9)) + b"x", "expected 9 bytes for sizes (9,), found 10"),
    ],
)
def test_wrong_idx_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(DataError) as raised:
        parse_idx(raw, name="tiny/labels", rank=1)
    assert words in refusal(raised)
    assert "tiny/labels" in refusal(raised)


def test_idx_split_takes_the_first_images_for_validation() -> None:
    training, test = read_idx(idx_files(), folder="tiny", validation=5)
    assert training.validation.y.tolist() == [0, 1, 2, 3, 4]
    assert training.train.y.tolist() == [5, 6, 7, 8, 9, 10, 11]
    assert training.train.x.shape == (7, 1, 2, 3)
    assert training.train.x[0, 0, 0, 0] == np.float32(5) * np.float32(1 / 255)
    assert test.y.tolist() == [0, 1, 2, 3]


def test_idx_split_can_keep_them_in_training() -> None:
    training, _ = read_idx(idx_files(), folder="tiny", validation=5, keep_in_train=True)
    assert training.validation.y.tolist() == [0, 1, 2, 3, 4]
    assert training.train.y.tolist() == list(range(12))


def test_images_without_their_labels_are_refused() -> None:
    files = idx_files()
    files[f"tiny/{NAMES[1]}"] = idx(np.zeros(11))
    with pytest.raises(DataError) as raised:
        read_idx(files, folder="tiny", validation=5)
    assert "expected 11 images, one for each label, found 12" in refusal(raised)


def test_cifar_split_takes_the_last_images_for_validation() -> None:
    contents = {"one": batch(6), "two": batch(6, 6), "last": batch(5, 3)}
    training, test = read_cifar(contents, validation=4)
    assert training.train.y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert training.validation.y.tolist() == [8, 9, 0, 1]
    assert test.y.tolist() == [3, 4, 5, 6, 7]
    assert training.train.x.shape == (8, 3, 32, 32)


def test_cifar_pixels_are_red_green_blue_rows() -> None:
    pixels = np.zeros((1, 3072), np.uint8)
    pixels[0, 2 * 1024 + 5 * 32 + 7] = 255  # blue, row 5, column 7
    raw = pickle.dumps({b"data": pixels, b"labels": [1]}, protocol=4)
    training, _ = read_cifar({"train": raw, "test": raw}, validation=0)
    assert np.argwhere(training.train.x).tolist() == [[0, 2, 5, 7]]
    assert training.train.x.max() == 1.0


class Malicious:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_malicious_pickle_is_refused_before_it_acts(tmp_path: Path) -> None:
    raw = pickle.dumps({b"data": Malicious(tmp_path / "made"), b"labels": []}, protocol=4)
    with pytest.raises(DataError) as raised:
        parse_batch(raw, name="cifar-10/data_batch_1.xz")
    assert "cifar-10/data_batch_1.xz: not a CIFAR-10 batch (it asks for " in refusal(raised)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no pickle",
        batch(3)[:-20],
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": [1], b"labels": [1]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}),
        pickle.dumps({b"data": np.zeros((1, 3071), np.uint8), b"labels": [1]}),
    ],
)
def test_what_is_no_batch_is_refused(raw: bytes) -> None:
    with pytest.raises(DataError) as raised:
        parse_batch(raw, name="data_batch_3")
    assert refusal(raised).startswith("data_batch_3: ")


def test_csv_skips_comments_and_takes_the_last_column_as_class() -> None:
    rows = labelled(table({"a.csv": b"# a comment,,\n1,2.5,0\r\n-3,4,6\n"}))
    assert rows.x.tolist() == [[1.0, 2.5], [-3.0, 4.0]]
    assert rows.y.tolist() == [0, 6]


@pytest.mark.parametrize("raw", [b"1,2\n1,2,3\n", b"1,word\n", b"\xff\xfe1,2\n"])
def test_wrong_csv_is_refused(raw: bytes) -> None:
    with pytest.raises(DataError) as raised:
        table({"a.csv": raw})
    assert refusal(raised).startswith("a.csv: expected rows of numbers")


def test_last_rows_are_the_test_and_nothing_else() -> None:
    raw = "\n".join(f"{row},{row % 2}" for row in range(50)).encode()
    training, test = read_last({"a.csv": raw}, count=20)
    assert test.x[:, 0].tolist() == list(range(30, 50))
    assert training.train.x[:, 0].tolist() == list(range(30))
    assert training.validation is training.train

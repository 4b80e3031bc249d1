"""Every registered data set keeps the contract, and the real ones hold the published numbers."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ablation_lab.data import (
    DATASETS,
    DataError,
    Part,
    TrainingData,
    checksum,
    hash_order,
    load,
    verify,
)
from lightning_modules.registry import UnknownName

Loaded = tuple[str, TrainingData, Part]
ROOT = Path(__file__).parents[2]


def data_folder() -> Path:
    """Return the folder with the real files, or skip."""
    if not os.environ.get("ABLATION_DATA"):
        pytest.skip("real data files are missing: set ABLATION_DATA to the folder that has them")
    return Path(os.environ["ABLATION_DATA"])


def is_lost(name: str) -> bool:
    return any(file.lost for file in DATASETS.get(name).files)


PRESENT = [name for name in DATASETS.names() if not is_lost(name)]


# Reading 600 MB and more takes many seconds; cifar10 itself is among the fast ones.
LARGE = ("cifar10_50k", "cifar10_printed", "cifar10_gcn")


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in PRESENT],
)
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """Load every data set once, and let go of it before the next."""
    name = str(request.param)
    folder = data_folder() if DATASETS.get(name).files else None
    return (name, *load(name, folder))


def counts(part: Part) -> list[int]:
    """Return the number of rows of each class."""
    return [int(count) for count in np.bincount(part.y)]


# What the README of the data and the sources of the lectures say.
SIZES = {
    "xor": (4, 4, 4),
    "points6": (6, 6, 6),
    "spirals": (194, 194, 194),
    "points8": (8, 8, 8),
    "digits": (1_197, 300, 300),
    "mnist": (55_000, 5_000, 10_000),
    "mnist60k": (60_000, 5_000, 10_000),
    "fashion_mnist": (55_000, 5_000, 10_000),
    "cifar10": (45_000, 5_000, 10_000),
    "diabetes": (759, 759, 759),
    "diabetes_last20": (739, 739, 20),
    "zoo": (101, 101, 101),
    "line1": (3, 3, 1),
    "line2": (3, 3, 1),
    "ramp": (80, 80, 20),
    "name_text": (1, 1, 1),
    "hihello": (1, 1, 1),
    "test_scores": (25, 25, 25),
    "stock": (505, 505, 220),
    "cifar10_50k": (50_000, 5_000, 10_000),
    "cifar10_printed": (50_000, 5_000, 100),
    "cifar10_gcn": (50_000, 5_000, 10_000),
}
TEST_COUNTS = {
    "xor": [2, 2],
    "points6": [3, 3],
    "spirals": [97, 97],
    "points8": [2, 3, 3],
    "mnist": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "mnist60k": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "fashion_mnist": [1_000] * 10,
    "cifar10": [1_000] * 10,
    "diabetes": [263, 496],
    "diabetes_last20": [10, 10],
    "zoo": [41, 20, 5, 13, 4, 8, 10],
}
VALIDATION_COUNTS = {
    "mnist": [479, 563, 488, 493, 535, 434, 501, 550, 462, 495],
    "mnist60k": [479, 563, 488, 493, 535, 434, 501, 550, 462, 495],
    "fashion_mnist": [457, 556, 504, 501, 488, 493, 493, 512, 490, 506],
}
# Train and validation together, or the training part alone where it holds the validation part.
TRAIN_COUNTS = {
    "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "mnist60k": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "fashion_mnist": [6_000] * 10,
    "cifar10": [5_000] * 10,
    "diabetes": [263, 496],
}


def check_contract(name: str, training: TrainingData, test: Part) -> None:
    """Types, shapes, label range and finite values, as training code relies on them."""
    dataset = DATASETS.get(name)
    for part in (training.train, training.validation, test):
        assert part.x.dtype == np.float32
        assert part.y.dtype == (np.int64 if dataset.classes else np.float32)
        assert part.x.shape == (len(part), *dataset.shape)
        assert part.y.shape == (len(part), *dataset.targets)
        assert len(part) > 0
        if dataset.classes:
            assert part.y.min() >= 0
            assert part.y.max() < max(dataset.classes, 2)
        assert np.isfinite(part.x).all()
        assert np.isfinite(part.y).all()
        assert part.x.flags.writeable  # torch warns when it shares an array it may not write
    if len(dataset.shape) == 3 and name != "cifar10_gcn":
        assert training.train.x.min() == 0.0
        assert training.train.x.max() == (255.0 if name == "cifar10_printed" else 1.0)
    same = np.array_equal(training.train.x, test.x) and np.array_equal(training.train.y, test.y)
    assert same == dataset.test_is_train


def check_published(name: str, training: TrainingData, test: Part) -> None:
    """Numbers of rows and of classes, as published."""
    assert (len(training.train), len(training.validation), len(test)) == SIZES[name]
    dataset = DATASETS.get(name)
    if dataset.classes and not dataset.targets:
        assert set(range(max(dataset.classes, 2))) == set(np.unique(training.train.y))
    if name in TEST_COUNTS:
        assert counts(test) == TEST_COUNTS[name]
    if name in VALIDATION_COUNTS:
        assert counts(training.validation) == VALIDATION_COUNTS[name]
    if name in TRAIN_COUNTS:
        parts = [training.train.y]
        if name in ("mnist", "fashion_mnist", "cifar10"):
            parts.append(training.validation.y)
        assert np.bincount(np.concatenate(parts)).tolist() == TRAIN_COUNTS[name]


def test_every_data_set_keeps_the_contract(loaded: Loaded) -> None:
    check_contract(*loaded)


def test_every_data_set_holds_the_published_numbers(loaded: Loaded) -> None:
    check_published(*loaded)


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_declaration_is_complete(name: str) -> None:
    dataset = DATASETS.get(name)
    assert dataset.name == name
    assert dataset.about
    assert "\n" not in dataset.about
    assert bool(dataset.files) != bool(dataset.embedded)
    for file in dataset.files:
        if file.lost:
            continue
        forms = file.forms()
        assert all(len(form.sha256) == 64 and int(form.sha256, 16) for form in forms)
        assert any(form.urls for form in forms)


@pytest.mark.parametrize("name", PRESENT)
def test_every_declared_sum_is_that_of_the_file(name: str) -> None:
    if DATASETS.get(name).files:
        folder = data_folder()
        for file in DATASETS.get(name).files:
            assert hashlib.sha256((folder / file.name).read_bytes()).hexdigest() == file.sha256
        verify(name, folder)
    else:
        verify(name, None)


def test_checksums_tell_all_data_sets_apart() -> None:
    sums = {name: checksum(name) for name in DATASETS.names()}
    assert len(set(sums.values())) == len(sums)
    # Runs are found again by this number: it must not change by accident.
    assert sums["xor"] == "6af4ddac08c62b05f35c04f61d31283d815490872864fa7bc4528eaf5f99ab36"


def test_mnist_validation_is_the_first_5000_images() -> None:
    folder = data_folder()
    whole, _ = load("mnist60k", folder)
    split, _ = load("mnist", folder)
    assert np.array_equal(split.validation.x, whole.train.x[:5_000])
    assert np.array_equal(split.train.y, whole.train.y[5_000:])
    assert split.validation.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_diabetes_last20_holds_the_labels_of_the_lectures() -> None:
    folder = data_folder()
    training, test = load("diabetes_last20", folder)
    assert test.y.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1]
    first = np.array(
        [-0.294118, 0.487437, 0.180328, -0.292929, 0, 0.00149028, -0.53117, -0.0333333]
    )
    assert training.train.x[0] == pytest.approx(first, abs=1e-6)  # six digits are in the file
    assert training.train.y[0] == 0


def test_points6_gives_the_printed_predictions() -> None:
    # The decks print weights and the hypothesis at the six points; the points follow from both.
    training, _ = load("points6")
    logits = training.train.x.astype(float) @ [1.4663278, 0.3097024] - 5.5251
    printed = [0.03108752, 0.15931448, 0.30652532, 0.780626, 0.9390975, 0.98000884]
    # The bias is printed with four decimals, which is 1e-5 in a probability.
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(printed, abs=2e-5)
    assert training.train.y.tolist() == [int(h > 0.5) for h in printed]


def test_digits_parts_do_not_overlap() -> None:
    training, test = load("digits")
    order = hash_order(1_797, "digits")
    assert sorted(order.tolist()) == list(range(1_797))
    assert order[:5].tolist() == [889, 392, 466, 1629, 1]
    from sklearn.datasets import load_digits

    source = load_digits()
    parts = (training.train, training.validation, test)
    rows = np.concatenate([part.x for part in parts]).reshape(-1, 64) * 16
    assert np.array_equal(rows, source.data[order])
    assert np.array_equal(np.concatenate([part.y for part in parts]), source.target[order])


def test_train_size_takes_nested_rows_by_seed() -> None:
    small, _ = load("digits", train_size=50, split_seed=3)
    large, test = load("digits", train_size=200, split_seed=3)
    other, same_test = load("digits", train_size=50, split_seed=4)
    assert len(small.train) == 50
    assert np.array_equal(small.train.x, large.train.x[:50])
    assert not np.array_equal(small.train.x, other.train.x)
    assert np.array_equal(small.validation.x, other.validation.x)
    assert np.array_equal(test.x, same_test.x)


def test_train_size_may_be_everything() -> None:
    part, _ = load("digits", train_size=1_197)
    whole, _ = load("digits")
    assert sorted(part.train.x.sum((1, 2, 3))) == sorted(whole.train.x.sum((1, 2, 3)))


@pytest.mark.parametrize("size", [0, -1, 5])
def test_impossible_train_size_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=rf"xor: data.train_size: expected 1 to 4, found {size}"):
        load("xor", train_size=size)


def test_unknown_name_says_the_nearest() -> None:
    with pytest.raises(UnknownName, match="nearest: 'mnist'"):
        load("mnits")


def test_import_is_cheap() -> None:
    code = (
        "import sys, ablation_lab.data; "
        "heavy = {'torch', 'sklearn', 'pooch', 'scipy', 'requests', 'pandas'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "ablation_lab.data.load('digits'); assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)

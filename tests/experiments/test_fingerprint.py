"""What invalidates results and what does not, tried on a copy of the code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import fingerprint as module
from experiments.fingerprint import family_source, fingerprint
from experiments.run import TrainerName

ROOT = module.ROOT
NAMES = ["mlp", "relu", "normal", "sgd", "xor", "printed"]


def forget() -> None:
    """Clear every cache of the module: files are read once in a real process."""
    for value in vars(module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def apply(code: Path, path: str, old: str, new: str) -> None:
    """Edit one file of the copy."""
    text = (code / path).read_text()
    assert old in text
    (code / path).write_text(text.replace(old, new, 1))
    forget()


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of the code that fingerprints are taken of; nothing of it is imported."""
    for package in module.PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


@pytest.fixture(scope="module")
def original() -> str:
    """Return the fingerprint of the code as it is."""
    forget()
    return taken()


def taken(
    *, family: str = "mlp", names: list[str] = NAMES, trainer: TrainerName = TrainerName.STACKED
) -> str:
    return fingerprint(family_source(family), names, trainer)


def test_it_does_not_depend_on_where_the_code_lies(code: Path, original: str) -> None:
    assert taken() == original


WORDING = [
    ("experiments/trainers/stacked.py", "    def step(", "    # A remark.\n\n    def step("),
    ("lightning_modules/mlp.py", '"""Multilayer perceptrons.', '"""Perceptrons of layers.'),
    ("experiments/trainers/order.py", '"""Yield the indices', '"""Give the indices'),
    ("lightning_modules/stack.py", "+ bias\n", "+  bias  \n"),
]


def test_comments_docstrings_and_spacing_change_nothing(code: Path, original: str) -> None:
    for edit in WORDING:
        apply(code, *edit)
    assert taken() == original


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("experiments/trainers/stacked.py", "w - rates * g", "w - 2 * rates * g"),
        ("experiments/trainers/schedule.py", "STEP_POINTS = 12", "STEP_POINTS = 13"),
        ("experiments/trainers/solo.py", "Role.INIT", "Role.ORDER"),
        ("experiments/seeds.py", "ablation-lab/", "ablation/"),
        ("experiments/convergence.py", "LOSS_SHARE = 0.98", "LOSS_SHARE = 0.99"),
        ("lightning_modules/mlp.py", "x.flatten(1)", "2 * x.flatten(1)"),
        ("lightning_modules/stack.py", ".sum(1) + bias", ".sum(1) - bias"),
        ("lightning_modules/losses.py", "torch.log(1 - h)", "torch.log1p(-h)"),
        ("lightning_modules/activations.py", "torch.relu(x)", "torch.relu(2 * x)"),
        ("lightning_modules/initializers.py", "weight.normal_(", "weight.neg_().normal_("),
    ],
)
def test_what_trains_the_run_counts(
    code: Path, original: str, path: str, old: str, new: str
) -> None:
    apply(code, path, old, new)
    assert taken() != original


ELSEWHERE = [
    ("lightning_modules/activations.py", "torch.tanh(x)", "torch.tanh(2 * x)"),
    ("lightning_modules/initializers.py", ".mul_(0.01)", ".mul_(0.02)"),
    ("lightning_modules/optimizers.py", "alpha=0.9", "alpha=0.8"),
    ("lightning_modules/convnet.py", "class", "CHANGED = 1\nclass"),
    ("experiments/tracking/store.py", "PAGE = 5000", "PAGE = 50"),
    ("experiments/ledger.py", "EXPIRY = 120.0", "EXPIRY = 60.0"),
    ("experiments/plan.py", "LARGEST_STACK = 1024", "LARGEST_STACK = 512"),
    ("experiments/spec.py", "at least 1", "one at least"),
]


def test_what_does_not_train_the_run_does_not_count(code: Path, original: str) -> None:
    for edit in ELSEWHERE:
        apply(code, *edit)
    assert taken() == original


def test_one_more_registered_function_changes_nothing(code: Path, original: str) -> None:
    more = '@ACTIVATIONS.register("cubic")\ndef cubic(x: Tensor) -> Tensor:\n    return x**3\n\n\n'
    first = '@ACTIVATIONS.register("sigmoid")'
    apply(code, "lightning_modules/activations.py", first, more + first)
    assert taken() == original


def test_a_registered_function_that_a_used_one_calls_counts(code: Path) -> None:
    names = [*NAMES, "orthonormal_he"]
    before = taken(names=names)
    edit = ("dtype=torch.float64)", "dtype=torch.float32)")
    apply(code, "lightning_modules/initializers.py", *edit)
    assert taken(names=names) != before


def test_solo_runs_do_not_depend_on_the_stacked_trainer(code: Path) -> None:
    before = taken(trainer=TrainerName.SOLO)
    apply(code, "experiments/trainers/stacked.py", "w - rates * g", "w - 2 * rates * g")
    assert taken(trainer=TrainerName.SOLO) == before


def test_ensembles_depend_on_how_they_are_combined(code: Path) -> None:
    before = {trainer: taken(trainer=trainer) for trainer in TrainerName}
    apply(code, "experiments/ensemble.py", "np.stack(", "np.array(")
    changed = {trainer for trainer in TrainerName if taken(trainer=trainer) != before[trainer]}
    assert changed == {TrainerName.ENSEMBLE}


def test_families_and_trainers_have_their_own(code: Path) -> None:
    prints = {taken(family=family) for family in ("mlp", "linear", "convnet")}
    prints |= {taken(trainer=trainer) for trainer in TrainerName}
    assert len(prints) == 5


def test_the_closure_follows_imports_and_stops_at_the_data(code: Path) -> None:
    names = {path.relative_to(code).as_posix() for path in module._closure(family_source("mlp"))}
    assert names >= {f"lightning_modules/{name}.py" for name in ("mlp", "classifier", "layers")}
    stacked = module._closure(module._path("experiments.trainers.stacked"))
    assert not {path for path in stacked if "data" in path.parts}

"""What invalidates results and what does not, tried on a copy of the code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablation_lab.study import fingerprint as module
from ablation_lab.study import source
from ablation_lab.study.fingerprint import family_source, fingerprint
from ablation_lab.study.run import TrainerName

ROOT = module.ROOT
NAMES = ["mlp", "relu", "normal", "sgd", "xor", "printed"]


def forget() -> None:
    """Clear every cache of the module: files are read once in a real process."""
    for value in [*vars(module).values(), *vars(source).values()]:
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
    return fingerprint(family_source(family), family, names, trainer)


def test_it_does_not_depend_on_where_the_code_lies(code: Path, original: str) -> None:
    assert taken() == original


WORDING = [
    ("ablation_lab/training/descent.py", "    def step(", "    # A remark.\n\n    def step("),
    ("lightning_modules/mlp.py", '"""Multilayer perceptrons.', '"""Perceptrons of layers.'),
    ("ablation_lab/training/order.py", '"""Yield the indices', '"""Give the indices'),
    ("lightning_modules/stack.py", "+ bias\n", "+  bias  \n"),
]


def test_comments_docstrings_and_spacing_change_nothing(code: Path, original: str) -> None:
    for edit in WORDING:
        apply(code, *edit)
    assert taken() == original


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("ablation_lab/training/descent.py", "w - rates * g", "w - 2 * rates * g"),
        ("ablation_lab/training/schedule.py", "STEP_POINTS = 12", "STEP_POINTS = 13"),
        ("ablation_lab/training/single.py", "Role.INIT", "Role.ORDER"),
        ("ablation_lab/study/seeds.py", "ablation-lab/", "ablation/"),
        ("ablation_lab/study/convergence.py", "LOSS_SHARE = 0.98", "LOSS_SHARE = 0.99"),
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
    ("lightning_modules/optimizers.py", "alpha: float = 0.9", "alpha: float = 0.8"),
    ("lightning_modules/convnet.py", "class ConvNetN", "CHANGED = 1\nclass ConvNetN"),
    ("ablation_lab/store/store.py", "PAGE = 5000", "PAGE = 50"),
    ("ablation_lab/runner/queue.py", "EXPIRY = 120.0", "EXPIRY = 60.0"),
    ("ablation_lab/training/plan.py", "LARGEST_STACK = 1024", "LARGEST_STACK = 512"),
    ("ablation_lab/study/reading.py", "expected at least", "expected no less than"),
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
    before = taken(trainer=TrainerName.SINGLE)
    apply(code, "ablation_lab/training/descent.py", "w - rates * g", "w - 2 * rates * g")
    assert taken(trainer=TrainerName.SINGLE) == before


def test_ensembles_depend_on_how_they_are_combined(code: Path) -> None:
    before = {trainer: taken(trainer=trainer) for trainer in module.ENTRIES}
    apply(code, "ablation_lab/training/ensemble.py", "np.stack(", "np.array(")
    changed = {trainer for trainer in module.ENTRIES if taken(trainer=trainer) != before[trainer]}
    assert changed == {TrainerName.ENSEMBLE}


def test_families_and_trainers_have_their_own(code: Path) -> None:
    prints = {taken(family=family) for family in ("mlp", "linear", "convnet")}
    prints |= {taken(trainer=trainer) for trainer in module.ENTRIES}
    assert len(prints) == 2 + len(module.ENTRIES)


def test_what_lies_beside_the_code_that_is_reached_does_not_count(code: Path) -> None:
    before = taken(trainer=TrainerName.SINGLE)
    more = "\n\ndef another(x: Tensor) -> Tensor:\n    return x\n"
    for name in ("mlp", "classifier", "losses", "activations", "layers"):
        path = code / "lightning_modules" / f"{name}.py"
        path.write_text(path.read_text() + more)
    apply(
        code, "ablation_lab/training/execute.py", "def execute(stack: Stack)", "def execute(stack)"
    )
    apply(
        code, "ablation_lab/training/execute.py", "_records(stack, started)", "_records(stack, 0.0)"
    )
    assert taken(trainer=TrainerName.SINGLE) == before


def test_a_function_behind_several_imports_counts(code: Path) -> None:
    before = taken(trainer=TrainerName.SINGLE)
    apply(code, "ablation_lab/training/trained.py", "module.to(device).eval()", "module.eval()")
    assert taken(trainer=TrainerName.SINGLE) != before


def test_the_data_are_left_to_their_checksum(code: Path) -> None:
    files = module._all_files([module._path("ablation_lab.training.stacked")])
    names = {path.relative_to(code).as_posix() for path in files}
    assert "lightning_modules/classifier.py" in names
    assert not [
        name for name in names if name.startswith(("ablation_lab/data", "experiments/data"))
    ]


def test_a_function_of_a_users_own_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "own_initialiser.py"
    text = """from lightning_modules.initializers import INITIALIZERS

@INITIALIZERS.register("fingerprint_test")
def own(weight, *, generator):
    weight.fill_(FACTOR)

FACTOR = 1
"""
    path.write_text(text)
    before = taken()
    assert taken(names=[*NAMES, "fingerprint_test"]) == before
    try:
        exec(compile(text, str(path), "exec"), {})  # as importing it would
        own = taken(names=[*NAMES, "fingerprint_test"])
        assert own != before
        assert taken() == before
        path.write_text(text.replace("FACTOR = 1", "FACTOR = 2"))
        forget()
        assert taken(names=[*NAMES, "fingerprint_test"]) != own
    finally:
        from lightning_modules.initializers import INITIALIZERS
        from lightning_modules.registry import _FILES

        del INITIALIZERS._things["fingerprint_test"], _FILES["fingerprint_test"]

"""What invalidates results and what does not: where code lies, how it is worded, what it does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ablation_lab
from ablation_lab.errors import ConfigurationError
from ablation_lab.study import fingerprint
from ablation_lab.study.key import FURTHER, TRAINERS
from ablation_lab.study.run import TrainerName
from ablation_lab.study.sources import Sources
from lightning_modules.registry import PRODUCT, ROOT
from tests.study.changed import configured, edited, key_of, keys

STACKED = configured(model__activation="relu", model__init="normal")
RUNS: dict[TrainerName, dict[str, Any]] = {
    TrainerName.STACKED: STACKED,
    TrainerName.SINGLE: configured(training__shuffle=False),
    TrainerName.ENSEMBLE: configured(ensemble={"size": 2, "rule": "vote"}),
}
DESCENT = ("ablation_lab/training/descent.py", "w - rates * g", "w - 2 * rates * g")

WORDING = [
    ("ablation_lab/training/descent.py", "    def step(", "    # A remark.\n\n    def step("),
    ("lightning_modules/mlp.py", '"""Perceptrons of many', '"""Networks of many'),
    (
        "lightning_modules/mlp.py",
        '        """Return the logits. Shapes',
        '        """Give them. Shapes',
    ),
    ("lightning_modules/stack.py", "+ bias\n", "+  bias  \n"),
    ("lightning_modules/mlp.py", "widths: Sequence[int] = ()", "widths: tuple[int, ...] = ()"),
    ("ablation_lab/training/descent.py", "self.rates: Tensor\n", "self.rates: object\n"),
    ("ablation_lab/training/schedule.py", "    first: int\n", "    first: float\n"),
]


@pytest.mark.parametrize("edit", WORDING, ids=lambda edit: edit[2].strip()[:20])
def test_comments_docstrings_annotations_and_spacing_change_nothing(
    edit: tuple[str, str, str],
) -> None:
    assert key_of(STACKED, edited(edit)) == key_of(STACKED)


@pytest.mark.parametrize(
    "edit",
    [
        DESCENT,
        ("ablation_lab/training/schedule.py", "STEP_POINTS = 12", "STEP_POINTS = 13"),
        ("ablation_lab/training/single.py", "Role.INIT", "Role.ORDER"),
        ("ablation_lab/study/run.py", "ablation-lab/", "ablation/"),
        ("ablation_lab/study/record.py", "LOSS_SHARE = 0.98", "LOSS_SHARE = 0.99"),
        ("lightning_modules/mlp.py", "x.flatten(1)", "2 * x.flatten(1)"),
        ("lightning_modules/stack.py", ".sum(1) + bias", ".sum(1) - bias"),
        ("lightning_modules/losses.py", "torch.log(1 - h)", "torch.log1p(-h)"),
        ("lightning_modules/activations.py", "torch.relu(x)", "torch.relu(2 * x)"),
        ("lightning_modules/initializers.py", "weight.normal_(", "weight.neg_().normal_("),
        # The same words of another library.
        ("lightning_modules/mlp.py", "import math\n", "import cmath as math\n"),
    ],
    ids=lambda edit: edit[2].strip()[:20],
)
def test_what_trains_the_run_counts(edit: tuple[str, str, str]) -> None:
    assert key_of(STACKED, edited(edit)) != key_of(STACKED)


@pytest.mark.parametrize(
    "edit",
    [
        ("lightning_modules/activations.py", "torch.tanh(x)", "torch.tanh(2 * x)"),
        ("lightning_modules/initializers.py", ".mul_(0.01)", ".mul_(0.02)"),
        ("lightning_modules/optimizers.py", "alpha: float = 0.9", "alpha: float = 0.8"),
        ("lightning_modules/convnet.py", "class ConvNetN", "CHANGED = 1\nclass ConvNetN"),
        ("ablation_lab/store/client.py", "PAGE = 5000", "PAGE = 50"),
        ("ablation_lab/training/plan.py", "LARGEST_STACK = 1024", "LARGEST_STACK = 512"),
        ("ablation_lab/study/reading.py", "expected at least", "expected no less than"),
        ("ablation_lab/data/embedded.py", "exclusive or", "either, not both"),
    ],
    ids=lambda edit: edit[2].strip()[:20],
)
def test_what_does_not_train_the_run_does_not_count(edit: tuple[str, str, str]) -> None:
    assert key_of(STACKED, edited(edit)) == key_of(STACKED)


def test_one_more_registered_function_changes_nothing() -> None:
    more = '@ACTIVATIONS.register("cubic")\ndef cubic(x: Tensor) -> Tensor:\n    return x**3\n\n\n'
    # At the end of the file, so that the lines of what is registered stay.
    path = ROOT / "lightning_modules" / "activations.py"
    assert key_of(STACKED, {path: path.read_text() + more}) == key_of(STACKED)


def test_what_lies_beside_the_code_that_is_reached_does_not_count() -> None:
    paths = [ROOT / "lightning_modules" / f"{name}.py" for name in ("mlp", "losses", "layers")]
    more = "\n\ndef another(x: Tensor) -> Tensor:\n    return x\n"
    assert key_of(STACKED, {p: p.read_text() + more for p in paths}) == key_of(STACKED)


def test_a_registered_function_that_a_used_one_calls_counts() -> None:
    run = configured(model__init="orthonormal_he")
    edit = ("lightning_modules/initializers.py", "dtype=torch.float64)", "dtype=torch.float32)")
    assert key_of(run, edited(edit)) != key_of(run)


def test_a_function_behind_several_imports_counts() -> None:
    run = RUNS[TrainerName.SINGLE]
    path = "ablation_lab/training/trained.py"
    edit = (path, "module.to(device).eval()", "module.eval()")
    assert key_of(run, edited(edit)) != key_of(run)


def test_every_trainer_has_its_own() -> None:
    assert set(TRAINERS) == set(RUNS)
    before, after = keys(RUNS), keys(RUNS, edited(DESCENT))  # type: ignore[arg-type]
    assert {name for name in before if before[name] != after[name]} == {TrainerName.STACKED}
    combining = edited(("ablation_lab/training/ensemble.py", "np.stack(", "np.array("))
    after = keys(RUNS, combining)  # type: ignore[arg-type]
    assert {name for name in before if before[name] != after[name]} == {TrainerName.ENSEMBLE}


@pytest.mark.parametrize(
    ("setting", "entry"), [(setting, entry) for setting in FURTHER for entry in FURTHER[setting]]
)
def test_only_runs_that_say_so_depend_on_what_they_ask_for(
    setting: tuple[str, str], entry: tuple[str, str]
) -> None:
    module, name = entry
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    text = path.read_text()
    start = re.search(
        rf"^(def|class) {name}\(.*?\)( -> [^\n]*)?:\n", text, re.DOTALL | re.MULTILINE
    )
    assert start is not None
    changed = {path: text[: start.end()] + "    assert True\n" + text[start.end() :]}
    value: dict[str, Any] = {
        "predict_at": [[0.0, 1.0]],
        "precision": "bf16",
        "train_size": 3,
        "probe": True,
    }
    run = configured(**{"__".join(setting): value[setting[1]]})
    assert key_of(run, changed) != key_of(run)
    assert key_of(STACKED, changed) == key_of(STACKED)


def test_an_entry_that_is_gone_is_an_error() -> None:
    gone = edited(("ablation_lab/training/stacked.py", "def train(", "def trains("))
    with pytest.raises(LookupError, match=r"training\.stacked: defines no 'train'"):
        key_of(STACKED, gone)


def test_moving_a_function_to_another_file_changes_nothing() -> None:
    old, new = ROOT / "lightning_modules/initializers.py", ROOT / "lightning_modules/drawing.py"
    text = old.read_text()
    start = text.index("def _generator(")
    # As many lines as before, so that what is registered stands where it stood.
    brought = text[:start].replace(
        "import hashlib\n", "from lightning_modules.drawing import _generator\n"
    )
    function = "import hashlib\n\nimport torch\n\n\n" + text[start:]
    moved = {old: brought, new: function}
    assert key_of(STACKED, moved) == key_of(STACKED)
    changed = {old: brought, new: function.replace(">> 1", ">> 2")}
    assert key_of(STACKED, changed) != key_of(STACKED)


def test_renaming_a_file_or_an_import_changes_nothing() -> None:
    old, new = ROOT / "lightning_modules/layers.py", ROOT / "lightning_modules/bricks.py"
    importers = {
        path: path.read_text().replace("lightning_modules.layers", "lightning_modules.bricks")
        for folder in PRODUCT
        for path in folder.rglob("*.py")
        if "lightning_modules.layers" in path.read_text()
    }
    assert len(importers) > 5
    mlp = ROOT / "lightning_modules/mlp.py"
    importers[mlp] = re.sub(r"\bmath\b", "maths", importers[mlp].replace("import math\n", ""))
    importers[mlp] = importers[mlp].replace(
        "from collections", "import math as maths\nfrom collections", 1
    )
    renamed = {**importers, old: None, new: old.read_text()}
    assert key_of(STACKED, renamed) == key_of(STACKED)


def test_renaming_a_function_changes_nothing() -> None:
    path = ROOT / "lightning_modules/initializers.py"
    renamed = {path: path.read_text().replace("_generator(", "_stream_of(")}
    assert key_of(STACKED, renamed) == key_of(STACKED)


def test_which_of_two_functions_is_meant_counts() -> None:
    path = ROOT / "lightning_modules/losses.py"
    text = path.read_text()
    one, other = "_many if logits.shape[-1] > 1 else _binary", "_binary if logits.shape[-1] > 1"
    swapped = text.replace(one, f"{other} else _many")
    assert swapped != text
    assert key_of(STACKED, {path: swapped}) != key_of(STACKED)


def test_a_statement_that_changes_what_is_used_counts() -> None:
    path = ROOT / "lightning_modules/losses.py"
    text = path.read_text()
    assert key_of(STACKED, {path: text + "\nMEASURES[Task.SEQUENCE] = None\n"}) != key_of(STACKED)
    assert key_of(STACKED, {path: text + "\ntorch.set_num_threads(3)\n"}) != key_of(STACKED)


def test_a_local_name_is_not_the_function_that_is_called_so() -> None:
    path = ROOT / "ablation_lab/training/schedule.py"
    more = "\n\ndef points(x):\n    return x\n"  # a variable of `chunks` has this name
    assert "points = " in path.read_text()
    assert key_of(STACKED, {path: path.read_text() + more}) == key_of(STACKED)


def test_what_carries_results_exists() -> None:
    """A carrier that is renamed would begin to count, and change every key."""
    text = "\n".join(p.read_text() for folder in PRODUCT for p in folder.rglob("*.py"))
    missing = {
        name
        for name in fingerprint.CARRIERS
        if not re.search(rf"^(class |def )?{name}\b[^\n]*[:=(]", text, re.MULTILINE)
    }
    assert missing == set()


def printed_key(site: Path, program: str, config: dict[str, Any]) -> str:
    """Return the key of a run as a process says it that imports the product from a folder."""
    for folder in PRODUCT:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(folder, site / folder.name, ignore=ignored, dirs_exist_ok=True)
    program += f"; from ablation_lab.study.key import run_key; print(run_key({config!r}, 0, 0))"
    paths = os.pathsep.join([str(site), str(site.parent / "project")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=site.parent,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_it_does_not_depend_on_where_the_code_lies(tmp_path: Path) -> None:
    assert Path(ablation_lab.__file__).is_relative_to(ROOT)
    assert printed_key(tmp_path / "site-packages", "import os", STACKED) == key_of(STACKED)


@pytest.mark.parametrize(("site", "counts"), [("site-packages", False), ("checkout", True)])
def test_a_library_that_is_installed_beside_the_product_is_none_of_ours(
    site: str, counts: bool, tmp_path: Path
) -> None:
    """What lies beside a checkout is the user's; beside an installed product lies every library."""
    library, plugin = tmp_path / site / "library", tmp_path / "project" / "own.py"
    for folder in (library, plugin.parent):
        folder.mkdir(parents=True)
    (library / "__init__.py").write_text("")
    plugin.write_text(
        "import library\nimport library.parts\nfrom ablation_lab import activation\n\n"
        '@activation("own")\ndef own(x):\n    return library.parts.scale(x, library)\n'
    )
    run = {**STACKED, "model": {**STACKED["model"], "activation": "own"}}
    found = set()
    for factor in (2, 3):
        (library / "parts.py").write_text(f"def scale(x, _):\n    return {factor} * x\n")
        found.add(printed_key(tmp_path / site, "import own", run))
    assert len(found) == 1 + counts


def test_a_source_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    from lightning_modules.registry import Place

    with pytest.raises(ConfigurationError, match=r"gone\.py: .* its source cannot be read"):
        list(Sources().at(Place(tmp_path / "gone.py")))

"""No hole: whatever is registered counts for the runs that use it, and for no others."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import experiments  # noqa: F401 - the data sets and checks of the lectures
from ablation_lab.data import DATASETS
from ablation_lab.study.fingerprint import code
from ablation_lab.study.key import choices, run_key
from ablation_lab.study.metric import CHECKS, METRICS
from lightning_modules.registry import ROLES, Registry
from tests.study.changed import Texts, configured, instead, key_of, keys, mutated

OTHER = configured(
    model={"family": "convnet", "activation": "relu", "init": "he_normal", "bias_init": "zeros"},
    data={"name": "cifar10"},
    optimizer={"name": "adam", "learning_rate": 0.1},
    training={"epochs": 2, "batch_size": 10, "loss": "stable"},
)
SMALL = configured()
# What a family needs beside its name, and data of the shape that it takes.
DATA = {"lstm": "ramp", "char_rnn": "hihello", "linear_regression": "test_scores"}
# What a schedule needs beside its name.
SCHEDULES: dict[str, dict[str, Any]] = {
    "step": {"step_size": 1},
    "multi_step": {"milestones": [1]},
    "exponential": {"gamma": 0.5},
    "cosine": {"T_max": 2},
    "cosine_restarts": {"T_0": 2},
    "one_cycle": {"max_lr": 1.0, "total_steps": 20},
}
# The metrics that come with the lab are names of what it logs: no code of their own.
REGISTERED = [
    (word, name)
    for word, registry in {id(r): (w, r) for w, r in reversed(ROLES.items())}.values()
    if registry is not METRICS
    for name in registry.names()
]


def using(word: str, name: str) -> dict[str, Any]:
    """Return the configuration of a run that uses a registered thing."""
    if word == "check":
        return {"check": {"name": name}}
    if word == "loss":
        return {**SMALL, "training": {**SMALL["training"], "loss": name}}
    settings: dict[str, dict[str, Any]] = {
        "family": {
            "model": {"family": name},
            "data": {"name": DATA.get(name, "digits")},
            "training": {"steps": 1},
        },
        "reduction": {"model": {"family": "reduced", "reduction": name}},
        "optimizer": {"optimizer": {"name": name, "learning_rate": 0.1}},
        "scheduler": {"scheduler": {"name": name, **SCHEDULES.get(name, {})}},
        "data": {"data": {"name": name}},
    }
    return configured(**settings.get(word, {f"model__{word}": name}))


def definition(word: str, name: str) -> tuple[Path, str]:
    """Return the file and name of the function or class that is registered."""
    thing: Any = ROLES[word].get(name)
    if word == "data":
        thing = thing.read
    while isinstance(thing, partial):
        thing = thing.func
    file = inspect.getsourcefile(thing)
    assert file is not None
    return Path(file).resolve(), thing.__name__


def others(word: str, name: str) -> dict[str, dict[str, Any]]:
    """Return runs that do not use it."""
    return {
        run: config
        for run, config in (("small", SMALL), ("other", OTHER))
        if not any(ROLES[w] is ROLES[word] and n == name for w, n in choices(config))
    }


@pytest.mark.parametrize(("word", "name"), REGISTERED)
def test_a_changed_statement_changes_the_keys_of_its_runs_alone(word: str, name: str) -> None:
    runs = {"using": using(word, name), **others(word, name)}
    assert len(runs) > 1
    before, after = keys(runs), keys(runs, mutated(*definition(word, name)))
    changed = {run for run in runs if before[run] != after[run]}
    # What is written in the code has a sum of its content: whatever reads it must give that.
    by_sum = word == "data" and DATASETS.get(name).embedded
    assert changed == (set() if by_sum else {"using"})


def test_everything_is_tried() -> None:
    assert {word for word, _ in REGISTERED} == {
        *("family", "activation", "init", "optimizer", "scheduler", "loss", "reduction"),
        *("data", "check"),
    }
    assert len(REGISTERED) > 150


def test_the_update_of_an_optimizer_counts() -> None:
    path, _ = definition("optimizer", "rmsprop_tf")
    text, step = path.read_text(), 'kept["v"].mul_(numbers["momentum"])'
    assert text.count(step) == 1
    changed: Texts = {path: text.replace(step, f"raise SystemExit; {step}")}
    runs = {name: using("optimizer", name) for name in ("rmsprop_tf", "adam_tf", "rmsprop")}
    old, new = keys(runs), keys(runs, changed)
    assert {name for name in runs if old[name] != new[name]} == {"rmsprop_tf"}


def test_a_name_counts_in_its_role_alone() -> None:
    path = definition("reduction", "autoencoder")[0]
    changed = mutated(path, "autoencoder")
    family = using("family", "autoencoder")
    assert key_of(family, changed) == key_of(family)
    reduced = using("reduction", "autoencoder")
    assert key_of(reduced, changed) != key_of(reduced)


def test_what_the_code_names_itself_counts() -> None:
    """The autoencoder that reduces has units, weights and an optimizer of its own choice."""
    run = configured(model={"family": "reduced", "reduction": "autoencoder", "init": "zeros"})
    named = {"very_leaky_relu": "activation", "xavier_uniform": "init", "adam": "optimizer"}
    for name, word in named.items():
        assert (word, name) not in choices(run)
        assert key_of(run, mutated(*definition(word, name))) != key_of(run), name
    pca = using("reduction", "pca")
    assert key_of(pca, mutated(*definition("optimizer", "adam"))) == key_of(pca)
    pretrained = using("family", "rbm_mlp")
    assert key_of(pretrained, mutated(*definition("init", "normal_001"))) != key_of(pretrained)


PLUGIN = {
    "__init__": "from own import things\n",
    "bits": "FACTOR = 2\n\ndef scale(x):\n    return FACTOR * x\n",
    "things": '''
from functools import partial

from ablation_lab.data import DATASETS, Dataset
from ablation_lab.study.metric import CHECKS
from ablation_lab.study.metric import metric
from lightning_modules.registry import ACTIVATIONS, FAMILIES, INITIALIZERS, LOSSES
from lightning_modules.registry import OPTIMIZERS, REDUCTIONS

from . import bits

@ACTIVATIONS.register("own")
def act(x):
    assert "act"
    return bits.scale(x)

@INITIALIZERS.register("own")
def init(weight, *, generator):
    assert "init"

@OPTIMIZERS.register("own")
def optimizer(parameters, *, learning_rate):
    assert "optimizer"

def loss(logits, labels):
    assert "loss"

LOSSES.register("own")(loss)

@REDUCTIONS.register("own")
def reduction(x, y, width, seed):
    assert "reduction"

@FAMILIES.register("own")
class Family:
    def __init__(self, *, width=2, gate_activation="tanh", **given):
        assert "family"

@metric("own", direction="maximize")
def score(outputs, targets):
    assert "metric"

@CHECKS.register("own")
def check():
    assert "check"

def read(files, *, rows):
    assert "data"

for name, rows in (("own", 3), ("more", 4)):
    DATASETS.register(name)(
        Dataset(name=name, shape=(2,), classes=2, examples=4, files=(), about="",
                read=partial(read, rows=rows))
    )

def several(names):
    for name in names:
        ACTIVATIONS.register(name)(lambda x: x)

several(["dynamic"])
''',
}  # fmt: skip


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Import a package of a user's that registers one thing of each kind."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name, text in PLUGIN.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("own")
    yield folder
    for name in ("own", "own.things", "own.bits"):
        del sys.modules[name]
    registries: set[Registry[Any]] = set(ROLES.values())
    for registry in registries:
        for name in ("own", "more", "dynamic"):
            registry._things.pop(name, None)


def own_runs() -> dict[str, dict[str, Any]]:
    """Return kind -> a run that uses the thing of that kind."""
    runs = {word: using(word, "own") for word in ("init", "optimizer", "loss", "reduction", "data")}
    measured = configured()
    measured["training"]["metrics"] = ["own"]
    return {
        **runs,
        "act": using("activation", "own"),
        "check": {"check": {"name": "own"}},
        "family": configured(model={"family": "own"}),
        "metric": measured,
    }


def test_every_kind_of_thing_of_a_plugin_counts(plugin: Path) -> None:
    runs, path = own_runs(), plugin / "things.py"
    before = keys(runs)
    for kind in runs:
        changed = path.read_text().replace(f'assert "{kind}"', f'assert "{kind}!"')
        after = keys(runs, {path: changed})
        assert {run for run in runs if before[run] != after[run]} == {kind}


def test_the_other_modules_of_a_plugin_count(plugin: Path) -> None:
    runs = own_runs()
    before, after = keys(runs), keys(runs, {plugin / "bits.py": PLUGIN["bits"].replace("2", "3")})
    assert {run for run in runs if before[run] != after[run]} == {"act"}


def test_a_setting_of_a_family_of_ones_own_names_in_its_role(plugin: Path) -> None:
    assert ("activation", "tanh") in choices(configured(model={"family": "own"}))
    relu = configured(model={"family": "own", "gate_activation": "relu"})
    assert ("activation", "relu") in choices(relu)
    assert ("activation", "tanh") not in choices(relu)
    left_out = {**relu, "model": {"family": "own"}}
    assert ("activation", "tanh") in choices(left_out)


def test_what_a_loop_or_a_function_registers_counts(plugin: Path) -> None:
    path = plugin / "things.py"
    text = path.read_text()
    data = {name: using("data", name) for name in ("own", "more")}
    assert len(set(keys(data).values())) == 2
    run = using("activation", "dynamic")
    assert key_of(run, {path: text.replace("(lambda x: x)", "(lambda x: x + 1)")}) != key_of(run)
    assert key_of(run, {path: text.replace('several(["dynamic"])', 'several(("dynamic",))')}) != (
        key_of(run)
    )


def test_a_key_is_the_same_before_and_after_importing(plugin: Path) -> None:
    """What is not imported yet is found in its source: the driver has no torch, a test may."""
    run = using("optimizer", "rmsprop_tf")
    here = key_of(run)
    registry = ROLES["optimizer"]
    registry.get("rmsprop_tf")
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(registry._things, "rmsprop_tf")
        assert key_of(run) == here
    with instead({}):
        assert run_key(run, 0, 0) == here
        assert code().strings(("check", "hello_vocabulary")) == {"hello"}


def test_checks_and_data_sets_that_a_check_names_count() -> None:
    assert CHECKS.names()
    runs = {name: {"check": {"name": name}} for name in ("hihello_one_hot", "training_set_sizes")}
    assert ("data", "hihello") in choices(runs["hihello_one_hot"])
    assert {("data", "mnist60k"), ("data", "cifar10")} <= choices(runs["training_set_sizes"])

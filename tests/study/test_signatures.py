"""Settings are the arguments of registered functions: read from sources as from what is loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.settings import GIVEN, resolve
from ablation_lab.study.signatures import known, signature
from lightning_modules.families import FAMILIES, Learner
from lightning_modules.optimizers import OPTIMIZERS, optimizer_settings, torch_optimizers
from lightning_modules.signatures import REQUIRED, UNTOLD, Setting, Signature, signature_of
from tests.conftest import XOR


class Open(pl.LightningModule):
    """Takes what it needs, and lets the rest be."""

    def __init__(self, *, input_shape: Any, width: int, rate: float = 0.5, **_: Any) -> None:
        super().__init__()


class Narrow(pl.LightningModule):
    """Takes nothing of what every family is given."""

    def __init__(self, *, input_shape: Any, classes: int) -> None:
        super().__init__()


class HandsOn(Learner):
    """Hands what it has no use for on to its base."""

    def __init__(self, *, input_shape: Any, classes: int, depth: int = 2, **settings: Any) -> None:
        super().__init__(network=pl.LightningModule(), **settings)


class Counted(pl.LightningModule):
    """A base of a user's own, which takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0


class Common(Counted):
    """What a user's classes share; it has no use for the rest, and hands it to nobody."""

    def __init__(self, *, input_shape: Any, width: int, depth: int = 1, **_: Any) -> None:
        super().__init__()


class Bare(Common):
    """Hands on all that it is given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)


class Chosen(Common):
    """Hands on what it does not choose itself, in the old way."""

    def __init__(self, rate: float, **settings: Any) -> None:
        Common.__init__(self, width=3, **settings)


class Placed(torch.nn.Module):
    def __init__(self, width: int, depth: int, rate: float = 0.5) -> None:
        super().__init__()


class Places(Placed):
    """Gives its base the first argument by its place."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(4, **settings)


@pytest.fixture
def plugged() -> Iterator[None]:
    before = dict(FAMILIES._things)
    for kind in (Open, Narrow, HandsOn):
        FAMILIES.register(kind.__name__)(kind)
    yield
    FAMILIES._things.clear()
    FAMILIES._things.update(before)


@pytest.mark.parametrize("name", FAMILIES.names())
def test_the_source_of_a_family_says_what_its_class_says(name: str) -> None:
    read, loaded = signature(FAMILIES, name), signature_of(FAMILIES.get(name))
    assert list(read.settings) == list(loaded.settings)
    assert read.open is loaded.open is False
    for key in set(read.settings) - {*GIVEN, "scheduler"}:
        assert read.settings[key].default == loaded.settings[key].default
        assert read.settings[key].default is not UNTOLD
    assert set(GIVEN) <= set(read.settings)


def test_everything_built_in_is_found_without_torch() -> None:
    code = (
        "import sys; from ablation_lab.study.signatures import known, signature;"
        "from lightning_modules.registry import FAMILIES, OPTIMIZERS, SCHEDULERS;"
        "every = (FAMILIES, OPTIMIZERS, SCHEDULERS);"
        "[signature(registry, name) for registry in every for name in known(registry)];"
        "assert 'torch' not in sys.modules; print(*known(FAMILIES))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(said.stdout.split()) == set(known(FAMILIES)) == set(FAMILIES.names())


@pytest.mark.parametrize("name", known(OPTIMIZERS))
def test_the_source_of_an_optimizer_says_what_its_function_says(name: str) -> None:
    values = optimizer_settings({"name": name, "learning_rate": 0.1})
    read = signature(OPTIMIZERS, name).complete(name, {"learning_rate": 0.1})
    assert {"name": name, **read} == values
    assert all(setting.annotation for setting in signature(OPTIMIZERS, name).settings.values())


def test_every_optimizer_is_known_to_a_plan() -> None:
    assert set(known(OPTIMIZERS)) == {*OPTIMIZERS.names(), *torch_optimizers()}


def planned(model: dict[str, Any]) -> dict[str, Any]:
    return resolve({**XOR, "model": model}, [], "study/small.yaml: a")["model"]


@pytest.mark.usefixtures("plugged")
def test_the_arguments_of_a_users_class_are_its_settings() -> None:
    assert planned({"family": "Open", "width": 3}) == {"family": "Open", "width": 3, "rate": 0.5}
    found = planned({"family": "HandsOn", "init": "normal"})
    assert found == {"family": "HandsOn", "depth": 2, "init": "normal", "bias_init": "zeros"}


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("model", "line"),
    [
        ({"family": "Open"}, ": model.width: expected a value (int), found none; give it"),
        ({"family": "Open", "width": True}, ": model.width: expected int, found True"),
        (
            {"family": "Open", "width": 1, "rat": 2},
            ": model: unknown key 'rat'; nearest: 'rate'",
        ),
        ({"family": "Opne"}, ": model.family: unknown name 'Opne'; nearest: 'Open'; known: autoe"),
        ({"family": "Narrow"}, ": model.family: the class of 'Narrow' takes no 'opt"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_setting_is_one_line(model: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        planned(model)
    assert str(error.value).startswith(f"study/small.yaml: a{line}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "required", "optional", "takes_anything"),
    [
        (Common, ["input_shape", "width"], ["depth"], True),
        (Bare, ["input_shape", "width"], ["depth"], True),
        (Chosen, ["rate", "input_shape"], ["depth"], True),
        (Places, ["depth"], ["rate"], False),
    ],
)
def test_what_a_class_hands_on_is_what_its_base_takes(
    kind: type, required: list[str], optional: list[str], takes_anything: bool
) -> None:
    found = signature_of(kind)
    missing = [name for name, each in found.settings.items() if each.default is REQUIRED]
    assert missing == required
    assert [name for name in found.settings if name not in missing] == optional
    assert found.open is takes_anything


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        ("int", [0, 3], [1.5, True, "3", None]),
        ("float", [1, 0.5], ["1", False, [1]]),
        ("int | None", [None, 2], ["", 0.5]),
        ("Optional[int]", [None, 2], [[]]),
        ("bool", [True], [1, "true"]),
        ("collections.abc.Sequence[int]", [[], (1, 2)], [1, ["a"], "12", [[1]]]),
        ("tuple[float, float]", [[0.9, 1]], [[0.9], 0.9, [0.9, "a"]]),
        ("tuple[int, ...]", [[], [1, 2]], [["a"]]),
        ("str | Mapping[str, str]", ["a", {"a": "b"}], [3]),
        ("Literal['min', 'max']", ["min"], ["mean"]),
        ("'int'", [1], ["a"]),
        ("Unheard", [1, "a", None], []),
        ("typing.Sequence[Unheard]", [[1, "a"]], [1, "ab"]),
        ("Mapping[str, int]", [{"a": 1}, {}], [{"a": "b"}, [1]]),
        ("Unheard[int] | int", [1, "a"], []),
        ("Literal[<Mode.A: 1>]", [1, "a"], []),
        ("dict[int]", [1, "a"], []),
        ("", [1, "a", None], []),
    ],
)
def test_a_value_fits_its_annotation(annotation: str, right: list[Any], wrong: list[Any]) -> None:
    settings = Signature({"x": Setting(annotation)})
    for value in right:
        assert settings.complete("a test", {"x": value}) == {"x": value}
    for value in wrong:
        with pytest.raises(ValueError, match=r"^x: expected "):
            settings.complete("a test", {"x": value})

"""Registries: what they keep, and what their errors say."""

import subprocess
import sys

import pytest

from lightning_modules.registry import Registry, UnknownName


def test_names_come_back_in_order_and_things_unchanged() -> None:
    registry: Registry[object] = Registry("thing")
    thing = object()
    assert registry.register("zebra")(thing) is thing
    registry.register("ant")(1)
    assert registry.names() == ("zebra", "ant")
    assert registry.get("zebra") is thing


def test_unknown_name_tells_the_nearest_and_the_known() -> None:
    registry: Registry[int] = Registry("activation")
    registry.register("relu")(1)
    registry.register("tanh")(2)
    with pytest.raises(UnknownName) as caught:
        registry.get("rleu")
    assert str(caught.value) == "unknown activation 'rleu'; nearest: 'relu'; known: relu, tanh"


def test_nothing_near_is_not_guessed() -> None:
    registry: Registry[int] = Registry("activation")
    registry.register("relu")(1)
    with pytest.raises(UnknownName) as caught:
        registry.get("12345")
    assert str(caught.value) == "unknown activation '12345'; known: relu"


def test_a_name_twice_names_both_places_and_keeps_the_first() -> None:
    registry: Registry[int] = Registry("activation")
    line = sys._getframe().f_lineno
    registry.register("relu")(1)
    second = registry.register("relu")
    with pytest.raises(ValueError, match="twice") as caught:
        second(2)
    assert f"test_registry.py:{line + 1}" in str(caught.value)
    assert f"test_registry.py:{line + 2}" in str(caught.value)
    assert registry.get("relu") == 1


def test_an_empty_name_is_refused() -> None:
    registry: Registry[int] = Registry("activation")
    with pytest.raises(ValueError, match="name for this activation"):
        registry.register("")


def test_the_registry_and_the_package_do_not_load_torch() -> None:
    program = "import lightning_modules.registry, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

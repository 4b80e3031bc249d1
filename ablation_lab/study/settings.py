"""The resolved configuration of a run: model, data, optimizer, scheduler, training, ensemble.

``resolve`` lays the study's ``run`` section, the levels of a cell and the profile's ``set`` over
the defaults of what they name: the settings of a family are the arguments of its class. A setting
that it does not have is an error. Pure; the result is plain data, ready for hashing.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ablation_lab.data import DATASETS, load
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.former import former
from ablation_lab.study.run import BEST_ON_VALIDATION, Combination, Training
from ablation_lab.study.section import Section
from ablation_lab.study.signatures import known, signature, trainer_arguments
from lightning_modules.registry import FAMILIES, OPTIMIZERS, SCHEDULERS
from lightning_modules.signatures import INTERVAL, Signature, WrongSetting, signature_of

# Settings that every configuration shows; the others only where they are not the default.
SHOWN = ("epochs", "steps", "batch_size", "loss", "l2")
LOSSES = ("stable", "unclipped")
# Arguments that every family is given beside its own settings.
GIVEN = ("input_shape", "classes", "optimizer", "loss", "l2", "seed")
# What can be asked of every data set.
OF_DATA = signature_of(load).without(("root", "split_seed"))
SECTIONS = ("model", "data", "optimizer", "scheduler", "training", "ensemble", "check")


def resolve(
    base: Mapping[str, Any], overrides: list[Mapping[str, Any]], place: str
) -> dict[str, Any]:
    """Return the complete configuration of a cell, checked; later overrides win."""
    config: dict[str, Any] = copy.deepcopy(dict(base))
    for changes in overrides:
        for key, value in changes.items():
            _assign(config, key, copy.deepcopy(value), place)
    _refuse_unknown(config, SECTIONS, place)
    if "check" in config:
        return _check(config, place)
    resolved = {
        "model": _model(config.get("model"), f"{place}: model"),
        "data": _data(config.get("data"), f"{place}: data"),
        "optimizer": _optimizer(config.get("optimizer"), f"{place}: optimizer"),
        "training": _training(config.get("training", {}), f"{place}: training"),
    }
    if config.get("scheduler"):
        resolved["scheduler"] = _scheduler(config, f"{place}: scheduler")
    if config.get("ensemble"):
        resolved["ensemble"] = _ensemble(Section(config["ensemble"], f"{place}: ensemble"))
    return resolved


def _check(config: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Complete the configuration of a run that computes a check and trains nothing."""
    _refuse_unknown(config, ("check", "data"), f"{place} (a check)")
    section = Section(config["check"], f"{place}: check")
    resolved: dict[str, Any] = {"check": {"name": section.take("name", str)}}
    section.close()
    if "data" in config:
        resolved["data"] = _data(config["data"], f"{place}: data")
    return resolved


def _assign(config: dict[str, Any], key: str, value: Any, place: str) -> None:
    """Set a dotted key; a key without a dot replaces its whole section."""
    section, _, name = key.partition(".")
    if section not in SECTIONS:
        raise ConfigurationError(f"{place}: unknown key {key!r}; {nearest(section, SECTIONS)}")
    if not name:
        config[section] = value
        return
    *inside, last = [section, *name.split(".")]
    target: Any = config
    for step, each in enumerate(inside, start=1):
        target = target.setdefault(each, {})
        if not isinstance(target, dict):
            where = ".".join(inside[:step])
            raise ConfigurationError(f"{place}.{where}: expected a mapping, found {target!r}")
    target[last] = value


def _refuse_unknown(found: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in found:
        if key not in known:
            raise ConfigurationError(f"{place}: unknown key {key!r}; {nearest(key, known)}")


def _model(given: Any, place: str) -> dict[str, Any]:
    """Complete the section of a model by the arguments of its family."""
    families = known(FAMILIES)
    name = _name(given, "family", families, place)
    arguments = signature(FAMILIES, name)
    for each in GIVEN:
        if each not in arguments.settings and not arguments.open:
            raise ConfigurationError(
                f"{place}.family: the class of {name!r} takes no {each!r}, which every family is "
                f"given; add the argument, or **_ for those that it does not use"
            )
    own = Signature(arguments.without((*GIVEN, "scheduler")).settings)
    return _complete(given, "family", own, place)


def _data(given: Any, place: str) -> dict[str, Any]:
    """Complete the section of a data set by what can be asked of every one."""
    _name(given, "name", sorted(DATASETS.names()), place)
    return _complete(given, "name", OF_DATA, place)


def _optimizer(given: Any, place: str) -> dict[str, Any]:
    """Complete the section of an optimiser by the arguments of its function."""
    name = _name(given, "name", known(OPTIMIZERS), place)
    return _complete(given, "name", signature(OPTIMIZERS, name), place)


def _scheduler(config: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Complete the section of a schedule of the learning rate, for a family that takes one."""
    given, family = config["scheduler"], config["model"]["family"]
    if "scheduler" not in signature(FAMILIES, family).settings:
        raise ConfigurationError(
            f"{place}: the class of {family!r} has no argument 'scheduler' and would ignore it; "
            "leave it out"
        )
    name = _name(given, "name", known(SCHEDULERS), place)
    return _complete(given, "name", signature(SCHEDULERS, name).also(INTERVAL), place)


def _name(given: Any, key: str, names: Sequence[str], place: str) -> str:
    """Return the name in a section of what has further settings."""
    if not isinstance(given, Mapping) or key not in given:
        raise ConfigurationError(f"{place}: expected a mapping with {key!r}, found {given!r}")
    name = given[key]
    if not isinstance(name, str) or name not in names:
        raise ConfigurationError(f"{place}.{key}: unknown name {name!r}; {nearest(name, names)}")
    return name


def _complete(
    given: Mapping[str, Any], name_key: str, arguments: Signature, place: str
) -> dict[str, Any]:
    """Complete a section from the defaults of the arguments; refuse what they do not allow."""
    _refuse_unknown(given, (name_key, *arguments.settings), place)
    values = {key: value for key, value in given.items() if key != name_key}
    for key, value in values.items():
        _check_range(key, value, f"{place}.{key}")
    try:
        return {name_key: given[name_key], **arguments.complete(place, values)}
    except WrongSetting as error:
        raise ConfigurationError(f"{place}.{error}") from None


def _check_range(key: str, value: Any, place: str) -> None:
    """Refuse values that nothing of this name can have, whatever it belongs to."""
    if key.endswith("keep_prob") and value is not None and not _in(value, 0.0, 1.0):
        raise ConfigurationError(
            f"{place}: expected a probability to keep in (0, 1], found {value!r}"
        )
    if key in ("widths", "channels", "dense") and not (
        isinstance(value, list) and all(_is_count(entry) for entry in value)
    ):
        raise ConfigurationError(f"{place}: expected a list of positive integers, found {value!r}")
    if key == "train_size" and value is not None and not _is_count(value):
        raise ConfigurationError(f"{place}: expected a positive integer or null, found {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _in(value: Any, above: float, upto: float) -> bool:
    return _is_number(value) and above < value <= upto


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _count(section: Section, key: str, default: int | None) -> int | None:
    value = section.take(key, int, default)
    if value is not None and value < 1:
        raise ConfigurationError(f"{section.place}.{key}: expected at least 1, found {value!r}")
    return value


def _share(section: Section, key: str, default: float) -> float:
    value: float = section.take(key, float, default)
    if not 0.0 <= value < math.inf:
        raise ConfigurationError(f"{section.place}.{key}: expected at least 0, found {value!r}")
    return value


def _steps(section: Section, key: str) -> tuple[int, ...] | None:
    steps = section.take(key, list, None)
    if steps is not None and not (steps and all(map(_is_count, steps)) and steps == sorted(steps)):
        raise ConfigurationError(
            f"{section.place}.{key}: expected a rising list of positive integers, found {steps!r}"
        )
    return None if steps is None else tuple(steps)


def _points(section: Section, key: str) -> tuple[tuple[float, ...], ...] | None:
    points = section.take(key, list, None)
    if points is None:
        return None
    if not (points and all(isinstance(p, list) and p and all(map(_is_number, p)) for p in points)):
        raise ConfigurationError(
            f"{section.place}.{key}: expected a list of points, each a list of numbers, found "
            f"{points!r}"
        )
    return tuple(tuple(float(value) for value in point) for point in points)


def _training(given: Any, place: str) -> dict[str, Any]:
    section = Section(given, place)
    for key, value in given.items():
        if renamed := former("training", key, value):
            raise ConfigurationError(f"{place}: {renamed.refusal}")
    training = Training(
        epochs=_count(section, "epochs", None),
        steps=_count(section, "steps", None),
        batch_size=_count(section, "batch_size", None),
        loss=section.take("loss", str, "stable"),
        l2=_share(section, "l2", 0.0),
        shuffle=section.take("shuffle", bool, True),
        drop_last=section.take("drop_last", bool, True),
        points=_steps(section, "points"),
        patience=_count(section, "patience", None),
        lr_milestones=_steps(section, "lr_milestones"),
        selection=section.take("selection", str, None),
        precision=section.take("precision", str, None),
        probe=section.take("probe", bool, False),
        predict_at=_points(section, "predict_at"),
        trainer=trainer_arguments(section.take("trainer", object, None), section.place),
    )
    section.close()
    if (training.epochs is None) == (training.steps is None):
        raise ConfigurationError(
            f"{section.place}: expected either 'epochs' or 'steps', found epochs="
            f"{training.epochs} and steps={training.steps}"
        )
    if training.loss not in LOSSES:
        raise ConfigurationError(
            f"{section.place}.loss: unknown value {training.loss!r}; "
            f"{nearest(training.loss, LOSSES)}"
        )
    if training.points and (training.steps is None or training.probe):
        raise ConfigurationError(
            f"{section.place}.points: expected 'steps', and no 'probe', beside them, found "
            f"steps={training.steps} and probe={training.probe}"
        )
    if not training.drop_last:
        _check_whole_epochs(training, section.place)
    if training.selection not in (None, BEST_ON_VALIDATION):
        raise ConfigurationError(
            f"{section.place}.selection: unknown value {training.selection!r}; "
            f"known: null, {BEST_ON_VALIDATION}"
        )
    if training.precision not in (None, "tf32", "bf16"):
        raise ConfigurationError(
            f"{section.place}.precision: unknown value {training.precision!r}; "
            "known: null, tf32, bf16"
        )
    return {name: getattr(training, name) for name in SHOWN} | training.chosen


def _check_whole_epochs(training: Training, place: str) -> None:
    """Refuse to keep the last batch of an epoch where there is none, or where nothing would."""
    for name, fits, needed in [
        ("batch_size", training.batch_size is not None, "a number of examples"),
        ("epochs", training.epochs is not None, "a number of them instead of steps"),
        ("shuffle", training.shuffle, "true"),
        ("probe", not training.probe, "false"),
    ]:
        if not fits:
            raise ConfigurationError(
                f"{place}.{name}: drop_last false needs {needed}, found {getattr(training, name)!r}"
            )


def _ensemble(section: Section) -> dict[str, Any]:
    rule = section.choice("rule", Combination, Combination.SUM_LOGITS)
    resolved = {"size": _count(section, "size", 1), "rule": rule.value}
    section.close()
    return resolved

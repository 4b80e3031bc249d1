"""A study composed in the browser: a form from the JSON Schema, and the text that it writes.

Comes in: the text so far, and what was typed into one field of the form. Goes out: the text with
it, and the form of that text. The text is the study; whatever the form has no field for stays as it
is, but for comments. All of it happens aside: the text may be large or hostile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ablation_lab.errors import ConfigurationError
from ablation_lab.service.rendering import rendered
from ablation_lab.study.files import files_of, read_yaml
from ablation_lab.study.reference import json_schema

if TYPE_CHECKING:
    from lightning_modules.registry import Registry

SECTIONS = ("model", "data", "optimizer", "training")
SCALARS = ("string", "number", "integer", "boolean")
LEVELS = "key: model.width, levels: [8, 64]"
FIRST = """\
my_study:
  title: What the study is about
  question: Does a wider network learn more?
  source: of my own
  metric: test_accuracy
  baseline: {width: small}
  run:
    model: {family: mlp}
    data: {name: digits}
    optimizer: {name: adam, learning_rate: 0.01}
    training: {epochs: 5, batch_size: 100}
  factors:
    width: {levels: {small: {model.widths: [8]}, large: {model.widths: [64]}}}
  profiles:
    quick: {replicates: 8}
"""


@dataclass(frozen=True)
class Field:
    """One line of the form: where it stands in the study, what it means and has, what it may."""

    path: str
    label: str
    value: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Group:
    """Fields under a heading; ``adds`` is the path under which a further one is named."""

    title: str
    fields: tuple[Field, ...]
    adds: str = ""
    hint: str = ""


def begun(project: Path, study: str) -> str:
    """Return the text of a study of the project, or a first one. Errors: those of files."""
    path = files_of("study", [project / "conf"]).get(study)
    return path.read_text(encoding="utf-8") if path else FIRST


def changed(text: str, path: str, typed: str) -> str:
    """Return a text with what was typed, YAML itself, at a path; without it if that is empty.

    Errors: ``ConfigurationError``.
    """
    name, content = _read(text)
    if path == "name":
        return _written(typed.strip() or name, content)
    *above, last = path.split("/")
    place: Any = content
    for key in above:
        place = place.setdefault(_key(place, key), {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ConfigurationError(f"{path}: expected a mapping above it; change it in the text")
    if typed.strip():
        place[_key(place, last)] = _value(path, typed)
    else:
        place.pop(_key(place, last), None)
    return _written(name, content)


def raised(text: str, profile: str, replicates: int) -> str:
    """Return a text in which a profile spends more replicates on each cell."""
    name, content = _read(text)
    budget = content["profiles"][_key(content["profiles"], profile)]
    if isinstance(budget["replicates"], dict):
        budget["replicates"]["at_most"] = replicates
    else:
        budget["replicates"] = replicates
    return _written(name, content)


def form(text: str) -> str:
    """Return the form of a text, as a fragment. Errors: ``ConfigurationError``."""
    name, content = _read(text)
    profiles = [str(each) for each in _mapping(content.get("profiles"))]
    return rendered("form.html.j2", groups=groups(name, content), profiles=profiles)


def groups(name: str, content: Mapping[str, Any]) -> list[Group]:
    """Return the fields of a study."""
    schema = json_schema()["additionalProperties"]
    run = _mapping(content.get("run"))
    factors, profiles = _mapping(content.get("factors")), _mapping(content.get("profiles"))
    named = Field("name", "name", name, "Letters, digits, _", required=True)
    return [
        Group("Study", (named, *_scalars(schema, content))),
        *(Group(each.title(), tuple(_rows(f"run/{each}", run.get(each))), f"run/{each}")
          for each in SECTIONS if not run.keys() & {"command", "check"}),
        Group("Factors", tuple(_factors(factors)), "factors", LEVELS),
        Group("Contrasts: each cell against the one with these levels",
              tuple(_baseline(factors, _mapping(content.get("baseline"))))),
        Group("Profiles", tuple(_profiles(profiles)), "profiles", "replicates: 8"),
    ]  # fmt: skip


def _scalars(schema: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[Field]:
    """Yield the fields of a schema that hold one value."""
    for key, spec in schema["properties"].items():
        kinds = {each.get("type") for each in spec.get("anyOf", [spec])}
        listed = _enum(spec)
        if kinds & {*SCALARS} or listed or key == "metric":
            hint, required = spec.get("description", ""), key in schema["required"]
            value = content.get(key)
            shown = value if _is_text(spec) and isinstance(value, str) else _shown(value)
            yield Field(key, key, shown, hint, listed or _choices(key), required)


def _is_text(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "string"


def _enum(spec: Mapping[str, Any]) -> tuple[str, ...]:
    name = spec.get("$ref", "").rpartition("/")[2]
    return tuple(json_schema()["$defs"].get(name, {}).get("enum", ()))


def _rows(path: str, section: Any) -> Iterator[Field]:
    for key, value in _mapping(section).items():
        own = f"{path}/{key}"
        yield Field(own, str(key), _shown(value), "", _choices(own))


def _factors(factors: Mapping[str, Any]) -> Iterator[Field]:
    for name, factor in factors.items():
        path = f"factors/{name}"
        if isinstance(factor, Mapping):
            known = _choices(str(factor.get("key", "")).replace(".", "/"))
            hint = f"known: {', '.join(known)}" if known else "a list, or label: {setting: value}"
            yield Field(f"{path}/key", f"{name}: key", _shown(factor.get("key")), "model.width")
            yield Field(f"{path}/levels", f"{name}: levels", _shown(factor.get("levels")), hint)
        else:
            yield Field(path, str(name), _shown(factor))


def _baseline(factors: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[Field]:
    for name, factor in factors.items():
        levels = factor.get("levels") if isinstance(factor, Mapping) else factor
        choices = tuple(map(_shown, levels)) if isinstance(levels, list | dict) else ()
        yield Field(f"baseline/{name}", str(name), _shown(baseline.get(name)), "", choices)


def _profiles(profiles: Mapping[str, Any]) -> Iterator[Field]:
    for name, budget in profiles.items():
        path, spent = f"profiles/{name}/replicates", _mapping(budget).get("replicates")
        yield Field(path, f"{name}: replicates", _shown(spent), "of each cell")


def _choices(path: str) -> tuple[str, ...]:
    registry = _registries().get("/".join(path.split("/")[-2:]))
    return tuple(registry.names()) if registry else ()


@cache
def _registries() -> dict[str, Registry[Any]]:
    """Return what may stand in a field, by the last two words of its path."""
    from ablation_lab.data import DATASETS
    from ablation_lab.study.metric import METRICS
    from lightning_modules import registry

    return {
        "metric": METRICS,
        "model/family": registry.FAMILIES,
        "model/activation": registry.ACTIVATIONS,
        "model/init": registry.INITIALIZERS,
        "data/name": DATASETS,
        "optimizer/name": registry.OPTIMIZERS,
        "training/loss": registry.LOSSES,
    }


def _read(text: str) -> tuple[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.yaml")
        path.write_text(text, encoding="utf-8")
        try:
            content = read_yaml(path)
        except ConfigurationError as error:
            raise ConfigurationError(str(error).replace(f"{folder}/", "")) from None
    if not isinstance(content, dict) or len(content) != 1:
        raise ConfigurationError("expected one top-level key, the name of the study")
    ((name, study),) = content.items()
    if not isinstance(study, dict):
        raise ConfigurationError(f"{name}: expected a mapping, found {study!r}"[:200])
    return str(name), study


def _written(name: str, content: Mapping[str, Any]) -> str:
    return str(
        yaml.safe_dump(
            {name: dict(content)}, sort_keys=False, allow_unicode=True, default_flow_style=None
        )
    )


def _value(path: str, typed: str) -> Any:
    if _is_text(json_schema()["additionalProperties"]["properties"].get(path, {})):
        return typed
    try:
        return yaml.safe_load(typed)
    except yaml.YAMLError:
        raise ConfigurationError(f"{path}: expected YAML, such as 3 or [a, b]") from None


def _key(place: Mapping[Any, Any], key: str) -> Any:
    """Return the key of a mapping that reads so, which may be a number."""
    return next((own for own in place if str(own) == key), key)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()

"""YAML files that are data and nothing else: read within limits, refused where they would be more.

Comes in: the path of a file. Goes out: plain mappings, lists and scalars, or a
``ConfigurationError`` of one line with the file and, where there is one, the line. Hydra reads the
same files afterwards; what it could take for code to run is refused here, before it sees them:
``@package`` headers, ``defaults`` lists, keys such as ``_target_``, resolvers beyond the
environment's.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.names import wrong_study

PRODUCT = Path(__file__).resolve().parents[1] / "conf"  # what ships with the lab
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST = 1 << 20  # bytes of a file
DEEPEST = 32  # mappings and lists within one another
MOST_VALUES = 100_000  # values of a file with every alias written out

PACKAGE_HEADER = re.compile(r"^\s*#\s*@", re.MULTILINE)
# What Hydra's and OmegaConf's own keys look like: _target_, _args_, _partial_, …
DIRECTIVE = re.compile(r"_[a-z]+_")
RESOLVER = re.compile(r"\$\{\s*(?P<name>[^{}:'\"]*(?:\$\{[^{}]*\}[^{}:'\"]*)*):")
RESOLVERS = ("oc.env",)
# An interpolation within a name: what it asks for is known only when it is resolved.
COMPUTED = re.compile(r"\$\{[^:{}]*\$\{")
# One that nothing closes, or that names nothing.
UNFINISHED = re.compile(r"(?<!\\)\$\{(?:[^{}]*$|\s*\})")


def read_yaml(path: Path) -> Any:
    """Return what a file says.

    Errors: ``ConfigurationError`` for a file that is no UTF-8, too large, too deep or no YAML, or
    that says something else than data.
    """
    content = _checked(path)
    refuse_directives(content, str(path))
    return content


def read_study(path: Path) -> Any:
    """Return what stands under the name of a study's file, which must be its one key.

    Errors: ``ConfigurationError``; Hydra would put another key elsewhere.
    """
    content, name = read_yaml(path), path.stem
    if said := wrong_study(name):
        raise ConfigurationError(f"{path}: a study: {said}")
    found = list(content) if isinstance(content, dict) else content
    if found != [name]:
        raise ConfigurationError(
            f"{path}: expected one top-level key, {name!r}, as the file is called; found {found!r}"
        )
    return content[name]


def line_of(path: Path, keys: Sequence[str | int]) -> int:
    """Return the line of a key of a file that was read, 0 for one that does not stand there."""
    node = yaml.compose(path.read_bytes(), Loader=YAML_LOADER)
    line = 0
    for key in keys:
        found = _entry(node, key)
        if found is None:
            return 0
        mark, node = found
        line = mark.line + 1
    return line


def _entry(node: Any, key: str | int) -> tuple[Any, Any] | None:
    """Return the mark of an entry of a mapping or a list, and what stands there."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == str(key):
                return name.start_mark, value
    if isinstance(node, yaml.SequenceNode) and key == "levels":  # a factor that is written as these
        return node.start_mark, node
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark, node.value[key]
    return None


def read_root(path: Path) -> Any:
    """Return what the lab's own ``config.yaml`` says, which alone has a ``defaults`` list."""
    return yaml.load(path.read_bytes(), Loader=YAML_LOADER)


def files_of(group: str, folders: list[Path]) -> dict[str, Path]:
    """Return the files of a group by name; as in Hydra, the first folder that has one wins."""
    paths = [path for folder in folders for path in sorted((folder / group).glob("*.yaml"))]
    return {path.stem: path for path in reversed(paths)}


def refuse_directives(content: Any, place: str) -> None:
    """Refuse a configuration that names code to run, or asks more than the environment.

    Errors: ``ConfigurationError`` that names the key.
    """
    if isinstance(content, dict) and "defaults" in content:
        raise ConfigurationError(
            f"{place}: key 'defaults': expected settings, found a list for Hydra to compose; "
            "say everything in this file"
        )
    for key, value in _entries(content, ""):
        last = key.rpartition(".")[2]
        if DIRECTIVE.fullmatch(last):
            raise ConfigurationError(
                f"{place}: {key}: a configuration names no code to run; expected settings, found "
                f"{last!r}; register code in a package and name that under plugins"
            )
        if isinstance(value, str):
            refuse_resolvers(value, f"{place}: {key}")


def refuse_resolvers(text: str, place: str) -> None:
    """Refuse ``${name:…}`` but for the environment's.

    Errors: ``ConfigurationError``.
    """
    for match in RESOLVER.finditer(text):
        name = match["name"].strip()
        if name not in RESOLVERS:
            raise ConfigurationError(
                f"{place}: unknown resolver {name!r}; expected a value, ${{key}} or "
                f"${{oc.env:NAME,default}}, found {text[:80]!r}"
            )
    if UNFINISHED.search(text):
        raise ConfigurationError(
            f"{place}: expected ${{key}}, or \\${{ for the text itself, found {text[:80]!r}"
        )
    if COMPUTED.search(text):
        raise ConfigurationError(
            f"{place}: expected a key as it is called, such as ${{key}}, found a name that is "
            f"computed: {text[:80]!r}"
        )


def _checked(path: Path) -> Any:
    if path.stat().st_size > LARGEST:
        raise ConfigurationError(
            f"{path}: expected at most {LARGEST:,} bytes, found {path.stat().st_size:,}; "
            "a declaration is no place for data"
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: expected UTF-8, found byte {error.object[error.start]:#04x} at "
            f"{error.start}; save the file as UTF-8"
        ) from None
    header = PACKAGE_HEADER.search(text)
    if header:
        line = text[: header.end()].count("\n") + 1
        raise ConfigurationError(
            f"{path}, line {line}: expected a comment, found a directive for Hydra "
            f"({text.splitlines()[line - 1].strip()[:80]!r}); remove it: a file's place says what "
            "it is"
        )
    try:
        _measure(text, path)
        return yaml.load(_named(text, path), Loader=YAML_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigurationError):
            raise
        said = " ".join(str(error).split())
        raise ConfigurationError(f"{path}: no YAML: {said}") from None


def _named(text: str, path: Path) -> Any:
    """Return the text as a stream with the file's name, which YAML's errors then give."""
    stream = io.BytesIO(text.encode())
    stream.name = str(path)
    return stream


def _measure(text: str, path: Path) -> None:
    """Refuse what would take all memory or time: depth, and aliases of aliases."""
    anchors: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(_named(text, path), Loader=YAML_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            size = 0
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            if anchor:
                anchors[anchor] = size
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            if event.anchor:
                anchors[event.anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ConfigurationError(
                    f"{path}, line {_line(event)}: alias {event.anchor!r} stands "
                    "within itself, or before its anchor; write out what it stands for"
                )
            size = anchors[event.anchor]
        else:
            continue
        open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)
        line = _line(event)
        if len(open_nodes) > DEEPEST:
            raise ConfigurationError(
                f"{path}, line {line}: expected at most {DEEPEST} mappings and lists within one "
                "another"
            )
        if sum(size for _, size in open_nodes) > MOST_VALUES:
            raise ConfigurationError(
                f"{path}, line {line}: expected at most {MOST_VALUES:,} values, found more, "
                "aliases written out"
            )


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def flat(settings: Mapping[str, Any], lead: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of everything in nested mappings."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{lead}{key}.")
        else:
            yield f"{lead}{key}", value


def _entries(content: Any, lead: str) -> Iterator[tuple[str, Any]]:
    """Yield every dotted key and its value, at all depths."""
    if not isinstance(content, dict | list):
        return
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        name = f"{lead}.{key}" if lead else str(key)
        yield name, value
        yield from _entries(value, name)

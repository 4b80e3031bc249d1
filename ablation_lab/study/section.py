"""Strict reading of one mapping of a YAML file: every key is asked for, or it is an error."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar, overload

from ablation_lab.errors import ConfigurationError, nearest

T = TypeVar("T")
Member = TypeVar("Member", bound=StrEnum)
_REQUIRED: Any = object()


class Section:
    """A mapping at ``place`` (file and key), read key by key; ``close`` refuses what is left.

    Errors name the place, what was expected and what was found.
    """

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"{place}: expected a mapping, found {value!r}")
        self.place = place
        self._values = {str(key): entry for key, entry in value.items()}
        self._asked: list[str] = []

    @overload
    def take(self, key: str, kind: type[T]) -> T: ...
    @overload
    def take(self, key: str, kind: type[T], default: T | None) -> T: ...
    def take(self, key: str, kind: type[T], default: Any = _REQUIRED) -> Any:
        """Return the value of ``key`` as ``kind``; an int is accepted for a float."""
        self._asked.append(key)
        if key not in self._values:
            if default is _REQUIRED:
                raise ConfigurationError(
                    f"{self.place}: {self._missing(key)}; {nearest(key, self._values)}"
                )
            return default
        value = self._values[key]
        if value is None and default is not _REQUIRED:
            return default
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        wrong_bool = isinstance(value, bool) and kind is not bool and kind is not object
        if wrong_bool or not isinstance(value, kind):
            raise ConfigurationError(
                f"{self.place}.{key}: expected {kind.__name__}, found {value!r}"
            )
        return value

    @overload
    def at_least_one(self, key: str, default: int) -> int: ...
    @overload
    def at_least_one(self, key: str, default: None) -> int | None: ...
    def at_least_one(self, key: str, default: int | None) -> int | None:
        """Return the number under ``key``, which cannot be below one."""
        value = self.take(key, int, default)
        if value is not None and value < 1:
            raise ConfigurationError(f"{self.place}.{key}: expected at least 1, found {value}")
        return value

    def choice(self, key: str, kind: type[Member], default: Member | None = None) -> Member:
        """Return the value of ``key`` as a member of the enumeration ``kind``."""
        text = self.take(key, str) if default is None else self.take(key, str, default.value)
        known = [member.value for member in kind]
        if text not in known:
            raise ConfigurationError(
                f"{self.place}.{key}: unknown value {text!r}; {nearest(text, known)}"
            )
        return kind(text)

    def section(self, key: str, *, required: bool = True) -> Section:
        """Return the mapping under ``key`` as a section of its own."""
        value = self.take(key, object) if required else self.take(key, object, None)
        return Section({} if value is None and not required else value, f"{self.place}.{key}")

    def items(self) -> list[tuple[str, Any]]:
        """Return every entry, for a mapping whose keys are the user's own names."""
        self._asked.extend(self._values)
        return list(self._values.items())

    def close(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                raise ConfigurationError(
                    f"{self.place}: unknown key {key!r}; {nearest(key, sorted(self._asked))}"
                )

    def _missing(self, key: str) -> str:
        return f"required key {key!r} is missing"

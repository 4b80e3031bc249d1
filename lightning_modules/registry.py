"""Names to things: one small registry behind every choice that a study can make.

Comes in: a name and the thing it names, given once by a decorator. Goes out: the thing, or an
error that says which names are known and which is nearest. Uses the standard library only.
"""

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pytorch_lightning as pl

T = TypeVar("T")


# Name → the files in which something of any kind is registered under it.
_FILES: dict[str, set[Path]] = {}


def place_of(name: str) -> set[Path]:
    """Return the files that registered something, of whatever kind, under this name."""
    return _FILES.get(name, set())


class UnknownName(ValueError):
    """A name that nobody has registered; the message lists those that are known."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelled most like `name`, or None if none is close."""
    matches = get_close_matches(name, tuple(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Return the sentence that refuses `name`: the kind, the name, the nearest, the known."""
    names = tuple(str(each) for each in known)
    match = nearest(str(name), names)
    hint = f"; nearest: {match!r}" if match else ""
    return f"unknown {kind} {name!r}{hint}; known: {', '.join(names) or 'none'}"


class Registry(Generic[T]):
    """Things of one kind by name, in the order in which they were registered.

    Example::

        ACTIVATIONS: Registry[Callable[[Tensor], Tensor]] = Registry("activation")

        @ACTIVATIONS.register("relu")
        def relu(x: Tensor) -> Tensor: ...

        ACTIVATIONS.get("relu")

    Anything can be registered: `register(name)` returns a function that takes the thing, keeps
    it, and gives it back unchanged.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}
        self._places: dict[str, str] = {}
        self._modules: list[str] = []

    def register(self, name: str, *, above: int = 0) -> Callable[[T], T]:
        """Return a decorator that keeps its argument under `name`.

        A function that registers for its caller says so by `above`, the calls between the two.
        Errors: ValueError if the name is empty or taken; the message names both places.
        """
        # The caller's line is kept, for things without a source of their own (instances) too.
        frame = sys._getframe(1 + above)
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if not name:
            raise ValueError(f"{place}: a name for this {self.kind} is expected, found ''")

        def keep(thing: T) -> T:
            if name in self._things:
                raise ValueError(
                    f"{self.kind} {name!r} is registered twice: at {self._places[name]} "
                    f"and at {place}; rename one of them"
                )
            self._things[name] = thing
            self._places[name] = place
            _FILES.setdefault(name, set()).add(Path(frame.f_code.co_filename).resolve())
            return thing

        return keep

    def found_in(self, module: str) -> None:
        """Let a module, which registers things, be imported when one of them is asked for."""
        self._modules.append(module)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that are imported when a name is asked for that is not known yet."""
        return tuple(self._modules)

    def get(self, name: str) -> T:
        """Return the thing called `name`.

        Errors: UnknownName, with the nearest name and all that are known.
        """
        if name not in self._things:
            self._import()
        try:
            return self._things[name]
        except KeyError:
            raise UnknownName(unknown(self.kind, name, self.names())) from None

    def names(self) -> tuple[str, ...]:
        """Return all names, in the order of registration; what registers more is imported."""
        self._import()
        return tuple(self._things)

    def _import(self) -> None:
        for module in self._modules:
            import_module(module)


# It stands here and not in families.py, which imports the families' files: no import circle.
FAMILIES: "Registry[type[pl.LightningModule]]" = Registry("family")

"""A verb of the command line, and what is typed in behind it.

Comes in: words. Goes out: a `Call`, or one line that says what is wrong with them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from ablation_lab.errors import ConfigurationError

SETTINGS = """\
settings (key=value, as in conf/config.yaml):
  study=NAME or [A,B]  what to train; without it, the project's own choice
  profile=NAME         the budget, as the studies name theirs, such as quick
  engine=NAME          where: local, ray, slurm; engine.workers=2 and the like
  training.epochs=3    a setting of every run: model, data, optimizer, training
  now.replicates=N     train only the first replicates now
  now.where.FACTOR=L   train only cells with this level now
  now.minutes=M        hand out no more work after this long
"""


@dataclass(frozen=True)
class Call:
    """What was typed in behind a verb."""

    project: Path
    plugins: tuple[str, ...]
    words: tuple[str, ...]
    options: argparse.Namespace = field(default_factory=argparse.Namespace)


@dataclass(frozen=True)
class Verb:
    """A subcommand: what it does in one line, what may follow it, its function."""

    about: str
    words: str
    act: Callable[[Call], int]
    more: str = ""
    options: str = ""  # the module whose add_options is called


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"command line: {message}; see {self.prog} --help")


def read_call(name: str, verb: Verb, arguments: list[str]) -> Call:
    """Return what was typed in behind a verb. Errors: ``ConfigurationError``."""
    parser = _Parser(
        prog=f"ablation {name}",
        usage=f"ablation {name} [--project FOLDER] [-p PACKAGE] {verb.words}".rstrip(),
        description=f"{verb.about[0].upper()}{verb.about[1:]}.",
        epilog=verb.more or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--project", metavar="FOLDER", help="the project; without it, this folder")
    parser.add_argument(
        "-p", "--plugin", metavar="PACKAGE", action="append", default=[], help="import it first"
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    if verb.options:
        import_module(f"ablation_lab.{verb.options}").add_options(parser)
    options = parser.parse_intermixed_args(arguments, argparse.Namespace(typed=arguments))
    folder = Path(options.project) if options.project else Path.cwd()
    if not folder.is_dir():
        raise ConfigurationError(f"--project: no folder {options.project!r}")
    return Call(folder.resolve(), tuple(options.plugin), tuple(options.words), options)

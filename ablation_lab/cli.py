"""The command line: a verb, a project and settings in, an exit status out.

Exit status: 0 all done; 1 some runs failed; 2 bad configuration, data or store, nothing started, or
runs for which their device has no room, which only trying shows; 130 on Ctrl-C, 143 on SIGTERM, 129
on SIGHUP, with everything finished so far kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ablation_lab.ending import carried_out
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.output import say

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Invocation
    from ablation_lab.study.project import Project

WORDS = "[key=value ...]"
KEYS = "[keys=FILE | from=FILE] [key=value ...]"

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
SOURCE = "FILE.csv|FOLDER|mlflow:NAME|optuna:NAME"
CLOSELY = "[PACKAGE | family=NAME]"
CARE = """\
Of a package, or a family by its name: what it does with the settings of the first cell that uses
it: is it repeatable, does it fit the targets, keep epochs, leave nothing behind, can it be stacked.
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
    options: str = ""  # the module of the runner whose add_options is called


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one call and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return carried_out(lambda: _call(given), mendable=_mendable)


def _call(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        say(overview())
        return 0
    if given[0] == "--version":
        say(f"ablation-lab {version('ablation-lab')}")
        return 0
    name, *rest = given
    if name not in VERBS:
        raise ConfigurationError(f"unknown command {name!r}; {nearest(name, VERBS)}")
    return _act(name, rest)


def _mendable(error: Exception) -> str:
    from ablation_lab.runner.composition import is_refusal, line_of

    return line_of(error) if is_refusal(error) else ""


def overview() -> str:
    """Return what ``ablation --help`` says."""
    lines = [f"  {name:<8} {verb.about}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "usage: ablation COMMAND [--project FOLDER] [-p PACKAGE] [key=value ...]",
            "",
            "Declare a study in one YAML file; train every cell, track every run, print the paper.",
            "",
            *lines,
            "",
            "ablation COMMAND --help says more of each.",
        ]
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"command line: {message}; see {self.prog} --help")


def _act(name: str, arguments: list[str]) -> int:
    verb = VERBS[name]
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
        import_module(f"ablation_lab.runner.{verb.options}").add_options(parser)
    options = parser.parse_intermixed_args(arguments, argparse.Namespace(typed=arguments))
    folder = Path(options.project) if options.project else Path.cwd()
    if not folder.is_dir():
        raise ConfigurationError(f"--project: no folder {options.project!r}")
    return verb.act(Call(folder.resolve(), tuple(options.plugin), tuple(options.words), options))


def _enter(call: Call, beside: tuple[Path, ...] = ()) -> Project:
    """Open the project, with studies that lie elsewhere, go to its folder, import its plug-ins.

    Every path of a call (store, reports, data) is relative to the project.
    """
    from ablation_lab.runner.composition import import_plugins, typed_plugins
    from ablation_lab.study.project import open_project

    project = open_project(call.project)
    os.chdir(call.project)
    sys.path.insert(0, str(call.project))
    plugins = import_plugins(project, [*call.plugins, *typed_plugins(call.words)])
    return replace(project, settings={**project.settings, "plugins": plugins}, beside=beside)


def _invocation(call: Call, beside: tuple[Path, ...] = ()) -> Invocation:
    """Compose and check what is asked for."""
    from ablation_lab.runner.composition import compose
    from ablation_lab.runner.configuration import read

    project = _enter(call, beside)
    words = [word for word in call.words if not word.lstrip("+").startswith("plugins=")]
    return read(compose(project, words), project)


def _run(call: Call) -> int:
    invocation = _invocation(call)
    # Imported after the configuration is known to be right: MLflow takes seconds to import.
    from ablation_lab.runner.session import carry_out

    return carry_out(invocation)


def _plan(call: Call) -> int:
    invocation = _invocation(call)
    from ablation_lab.runner.session import say_plan

    return say_plan(invocation)


def _report(call: Call) -> int:
    invocation = _invocation(call)
    from ablation_lab.report.__main__ import main as write

    words = ["--store", invocation.tracking_uri, "--profile", invocation.profile]
    words += ["--reports", str(invocation.reports or "reports")]
    words += ["--conf", str(invocation.conf)] if invocation.every_study else []
    words += ["--order", *invocation.named]
    return write([*words, "--studies", *(study.name for study in invocation.studies)])


def _values(call: Call) -> int:
    invocation = _invocation(call)
    from ablation_lab.report.values import summarise

    return summarise(invocation.tracking_uri, invocation.profile, invocation.conf)


def _check(call: Call) -> int:
    from ablation_lab.report.manuscript import check
    from ablation_lab.study.project import open_project

    given, others = _apart(call, "profile", "reports")
    return check([Path(word) for word in others.words], open_project(call.project), given)


def _serve(call: Call) -> int:
    given, others = _apart(call, "port")
    port = given.get("port", "5000")
    if not port.isdigit():
        raise ConfigurationError(f"port: expected a number such as 5000, found {port!r}")
    invocation = _invocation(others)
    from ablation_lab.service.serve import serve

    return serve(invocation.tracking_uri, int(port))


def _new(call: Call) -> int:
    from ablation_lab.runner.new import write_project

    if len(call.words) != 1:
        raise ConfigurationError("command line: expected one name, as in `ablation new demo`")
    for line in write_project(call.words[0], call.project):
        say(line)
    return 0


def _schema(call: Call) -> int:
    from ablation_lab.study.reference import json_schema

    say(json.dumps(json_schema(), indent=1))
    return 0


def _rekey(call: Call) -> int:
    """Try stored runs, write the keys of all declared runs down, or carry them over from a file."""
    given, others = _apart(call, "keys", "from")
    invocation = _invocation(others)
    from ablation_lab.runner.rekey import by_files, rekey

    return by_files(invocation, given) if given else rekey(invocation)


def _import(call: Call) -> int:
    if not call.words:
        raise ConfigurationError(f"command line: expected {SOURCE}, as in `import results.csv`")
    from ablation_lab.runner.importing import import_results

    words = import_results(call.options, call.project, call.words)
    from ablation_lab.report.__main__ import main as write

    return write(words)


def _apart(call: Call, *names: str) -> tuple[dict[str, str], Call]:
    """Return the words of these names, which are no settings, and the call without them."""
    pairs = {word: word.partition("=") for word in call.words}
    own = {word: pair for word, pair in pairs.items() if pair[0] in names and pair[1]}
    others = tuple(word for word in call.words if word not in own)
    return {name: value for name, _, value in own.values()}, replace(call, words=others)


def _gate(call: Call) -> int:
    from ablation_lab.runner.gate import gate
    from ablation_lab.runner.proposal import wanted

    asked = wanted(call.options, call.words)
    return gate(_invocation(replace(call, words=asked.settings), asked.beside), asked)


def _doctor(call: Call) -> int:
    from ablation_lab.runner.doctor import examine, examine_families

    if not call.words:
        return examine(call.project)
    word, *others = call.words
    if others:
        raise ConfigurationError(f"doctor: expected {CLOSELY}, found {others[0]!r} beside {word!r}")
    packages = () if "=" in word else (word,)
    project = _enter(replace(call, plugins=(*call.plugins, *packages), words=()))
    return examine_families(project, word)


VERBS: dict[str, Verb] = {
    "run": Verb("train what is missing of the studies, and report", WORDS, _run, SETTINGS),
    "plan": Verb("say what is missing, how it trains, what it can decide", WORDS, _plan, SETTINGS),
    "report": Verb("write the report anew from the store", WORDS, _report, SETTINGS),
    "serve": Verb("compare runs in the MLflow UI, on 127.0.0.1", "[port=5000]", _serve),
    "check": Verb("say which numbers of a manuscript are stale", "FILE ... [profile=NAME]", _check),
    "values": Verb("say how the reference values fare", "[profile=NAME]", _values),
    "new": Verb("write a project with a study, a module and a test", "NAME", _new),
    "schema": Verb("print what a study may say, as JSON Schema", "", _schema),
    "import": Verb(
        "report results that exist", f"{SOURCE} --factors …", _import, options="importing"
    ),
    "gate": Verb("say if a candidate is kept", "STUDY|FILE.yaml[:CELL]", _gate, options="gate"),
    "rekey": Verb("give stored runs the keys of today's code", KEYS, _rekey, options="rekey"),
    "doctor": Verb("say what is installed and answers, or how a family is", CLOSELY, _doctor, CARE),
}

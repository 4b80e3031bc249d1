"""The command line: a verb, a project and settings in, an exit status out.

Exit status: 0 all done; 1 some runs failed; 2 bad configuration, data or store, nothing started, or
runs for which their device has no room, which only trying shows; 130 on Ctrl-C, 143 on SIGTERM, 129
on SIGHUP, with everything finished so far kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ablation_lab.ending import carried_out
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.output import say
from ablation_lab.verb import SETTINGS, Call, Verb, read_call

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Invocation
    from ablation_lab.study.project import Project

WORDS = "[key=value ...]"
KEYS = "[keys=FILE | from=FILE] [key=value ...]"

SOURCE = "FILE.csv|FOLDER|mlflow:NAME|optuna:NAME"
CLOSELY = "[PACKAGE | family=NAME]"
CARE = """\
Of a package, or a family by its name: what it does with the settings of the first cell that uses
it: is it repeatable, does it fit the targets, keep epochs, leave nothing behind, can it be stacked.
"""
OF_A_SERVICE = (
    ("submit", "have a service carry a study out", "STUDY|FILE.yaml [profile=NAME]"),
    ("watch", "say what happens to a submitted study, until it is over", "STUDY|ID"),
    ("cancel", "end submitted studies; what is finished is kept", "STUDY|ID ..."),
    ("pause", "have submitted studies wait", "STUDY|ID ..."),
    ("resume", "have submitted studies go on, or be tried again", "STUDY|ID ..."),
    ("list", "say what was submitted to a service", ""),
    ("mcp", "answer agents what a service knows, on standard input and output", ""),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one call and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return carried_out(lambda: _call(given), mendable=_mendable)


def _mendable(error: Exception) -> str:
    from ablation_lab.runner.composition import mendable

    return mendable(error)


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
    return VERBS[name].act(read_call(name, VERBS[name], rest))


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


def _enter(call: Call) -> Project:
    from ablation_lab.runner.plugins import enter

    return enter(call.project, call.plugins, call.words)


def _invocation(call: Call, beside: tuple[Path, ...] = ()) -> Invocation:
    """Compose and check what is asked for."""
    from ablation_lab.runner.composition import compose
    from ablation_lab.runner.configuration import read

    project = replace(_enter(call), beside=beside)
    return read(compose(project, call.words), project)


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
    words += ["--language", invocation.language, "--order", *invocation.named]
    words += ["--studies", *(study.name for study in invocation.studies)]
    return write(words, listed=invocation.listed)


def _values(call: Call) -> int:
    invocation = _invocation(call)
    from ablation_lab.report.values import summarise

    return summarise(invocation.tracking_uri, invocation.profile, invocation.conf)


def _check(call: Call) -> int:
    from ablation_lab.report.manuscript import check
    from ablation_lab.study.project import open_project

    given, others = _apart(call, "profile", "reports")
    return check([Path(word) for word in others.words], open_project(call.project), given)


def _serve(call: Call, serving: bool = True) -> int:
    from ablation_lab.service.serve import OWN, asked, serve, work

    given, others = _apart(call, *OWN)
    at = asked(call.options, given)
    return (serve if serving else work)(others, at)


def _ask(verb: str, call: Call) -> int:
    """Ask a service for what a verb says."""
    from ablation_lab.service.verbs import ASKED

    return ASKED[verb](call.options, call.words, call.project)


def _elsewhere(place: str, call: Call) -> int:
    """Do what a function of another module does, which is imported only now."""
    module, _, name = place.rpartition(".")
    return int(getattr(import_module(f"ablation_lab.{module}"), name)(call))


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
    words = (_continue if call.options.into else _report_alone)(call)
    from ablation_lab.report.__main__ import main as write

    return write(words)


def _report_alone(call: Call) -> tuple[str, ...]:
    from ablation_lab.runner.importing import import_results

    return import_results(call.options, call.project, call.words)


def _continue(call: Call) -> tuple[str, ...]:
    """Count results as runs of a study of the project, read from where the call is made."""
    from ablation_lab.runner.importing import long
    from ablation_lab.store.foreign import read_source

    source, *settings = call.words
    table = read_source(source, call.options.store)
    invocation = _invocation(replace(call, words=(f"study={call.options.into}", *settings)))
    from ablation_lab.runner.continued import import_into

    metric = invocation.studies[0].metric.name
    return import_into(call.options, invocation, long(table, call.options, metric))


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
    "serve": Verb(
        "carry out what is submitted, with MLflow's UI, on 127.0.0.1",
        "[port=5000] [host=ADDRESS allowed_hosts=NAME,... [tls.certificate=FILE tls.key=FILE]]",
        _serve,
        options="service.serve",
    ),
    "work": Verb(
        "carry out what is submitted, and serve nothing",
        WORDS,
        partial(_serve, serving=False),
        options="service.serve",
    ),
    **{
        name: Verb(about, words, partial(_ask, name), options="service.verbs")
        for name, about, words in OF_A_SERVICE
    },
    "users": Verb(
        "make, list and revoke tokens for a service, and links to read",
        "add|list|revoke|link [NAME]",
        partial(_elsewhere, "service.people.act"),
        options="service.people",
    ),
    "backup": Verb(
        "keep all that is trained and queued", "FILE", partial(_elsewhere, "service.backup.back_up")
    ),
    "restore": Verb(
        "go on from what was kept", "FILE", partial(_elsewhere, "service.backup.restore")
    ),
    "check": Verb("say which numbers of a manuscript are stale", "FILE ... [profile=NAME]", _check),
    "values": Verb("say how the reference values fare", "[profile=NAME]", _values),
    "new": Verb("write a project with a study, a module and a test", "NAME", _new),
    "schema": Verb("print what a study may say, as JSON Schema", "", _schema),
    "import": Verb(
        "report results that exist", f"{SOURCE} --factors …", _import, options="runner.importing"
    ),
    "gate": Verb(
        "say if a candidate is kept", "STUDY|FILE.yaml[:CELL]", _gate, options="runner.gate"
    ),
    "rekey": Verb(
        "give stored runs the keys of today's code", KEYS, _rekey, options="runner.rekey"
    ),
    "doctor": Verb("say what is installed and answers, or how a family is", CLOSELY, _doctor, CARE),
}

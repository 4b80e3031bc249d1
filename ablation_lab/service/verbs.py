"""`ablation submit | watch | cancel | pause | resume | list`: a service from the command line."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ablation_lab.errors import ConfigurationError, installing
from ablation_lab.output import say
from ablation_lab.service.client import URL, Server, Submitted
from ablation_lab.service.state import State, Wish


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which service is meant, and how a study is submitted to it."""
    known = os.environ.get("ABLATION_SERVER", URL)
    parser.add_argument("--server", metavar="URL", default=known, help=f"instead of {known}")
    if parser.prog.endswith(" submit"):
        parser.add_argument("--priority", type=int, default=0, help="before those of a lower one")
        parser.add_argument("--plan", action="store_true", help="only say what would run")
        parser.add_argument("--watch", action="store_true", help="watch it until it is over")


def submit(options: argparse.Namespace, words: Sequence[str], project: Path) -> int:
    """Submit a study of the project, or a file."""
    profile = next((word[8:] for word in words if word.startswith("profile=")), "")
    named = [word for word in words if not word.startswith("profile=")]
    if len(named) != 1:
        raise ConfigurationError("submit: expected one study, as in `ablation submit demo`")
    path, server = _file(named[0], project), Server(options.server)
    if options.plan:
        for line in server.plan(path, profile=profile)["plan"]:
            say(line)
        return 0
    submitted = server.submit(path, profile=profile, priority=options.priority)
    say(_line(submitted.known))
    return watch_it(submitted) if options.watch else 0


def wish(wished: str, options: argparse.Namespace, words: Sequence[str], project: Path) -> int:
    """Have each of the named studies do what is wished."""
    server = Server(options.server)
    if not words:
        raise ConfigurationError(f"{wished}: expected a study, by its id or its name")
    for study in [server.study(word) for word in words]:
        getattr(study, wished)()
        say(_line(study.known))
    return 0


def watch(options: argparse.Namespace, words: Sequence[str], project: Path) -> int:
    """Say what happens to a study until it is over."""
    if len(words) != 1:
        raise ConfigurationError("watch: expected one study, by its id or its name")
    return watch_it(Server(options.server).study(words[0]))


def list_all(options: argparse.Namespace, words: Sequence[str], project: Path) -> int:
    """Say what was submitted, the newest first."""
    studies = Server(options.server).studies()
    for each in studies:
        say(_line(each))
    if not studies:
        say("no study was submitted yet")
    return 0


def answer_agents(options: argparse.Namespace, words: Sequence[str], project: Path) -> int:
    """Answer agents on the standard input and output."""
    try:
        from ablation_lab.service.agents import serve
    except ImportError:
        need = installing("ablation-lab[mcp]")
        raise ConfigurationError(f"mcp: the package mcp is not installed: {need}") from None
    return serve(options.server)


def watch_it(study: Submitted) -> int:
    """Say what happens to a submitted study; return 0 where it has succeeded."""
    done = failed = total = 0
    for _, kind, said in study.events():
        at = time.strftime("%H:%M:%S", time.localtime(said["time"]))
        if kind == "plan":
            total = sum(cell["replicates"] for cell in said["cells"])
            done = sum(run[2] == "finished" for run in said["runs"])
        elif kind == "state":
            say(f"{at} {said['state']}: {said['reason']}")
        elif kind == "runs":
            done += sum(run[2] == "finished" for run in said["runs"])
            failed += sum(run[2] == "failed" for run in said["runs"])
            say(f"{at} {done} of {total} runs{f', {failed} failed' if failed else ''}")
        elif kind == "log":
            for line in said["lines"]:
                say(f"{at} {line}")
    return 0 if study.state is State.SUCCEEDED else 1


def _file(name: str, project: Path) -> Path:
    places = [project / "conf" / "study" / f"{name}.yaml", project / name]
    for path in places:
        if path.is_file():
            return path
    raise ConfigurationError(f"submit: no study {name!r}; expected {places[0]}, or a file")


def _line(known: dict[str, Any]) -> str:
    progress = known["progress"]
    runs = f"{progress['completed']} of {progress['total']} runs" if progress["total"] else ""
    words = (known["study"], f"({known['profile']})", known["state"], runs, known["reason"])
    return f"{known['id']}  {' '.join(filter(None, words))}"


ASKED: Mapping[str, Callable[[argparse.Namespace, Sequence[str], Path], int]] = {
    "submit": submit,
    "watch": watch,
    "list": list_all,
    "mcp": answer_agents,
    **{str(each): partial(wish, each) for each in Wish},
}

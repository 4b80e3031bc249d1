"""`ablation serve`: the service of a project, at one address.

Comes in: an invocation, and where to listen. Goes out: three lines, then a server, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablation_lab.errors import ConfigurationError, redact
from ablation_lab.output import say
from ablation_lab.runner.composition import compose
from ablation_lab.runner.configuration import Tracking, settings_of
from ablation_lab.runner.plugins import typed_plugins
from ablation_lab.service.guard import LOOPBACK, hosts_of
from ablation_lab.study.project import open_project

if TYPE_CHECKING:
    from ablation_lab.service.api import Lab
    from ablation_lab.verb import Call

LOCAL = ("127.0.0.1", "::1", "localhost")
HIGHEST = 65_535
OF_STUDIES = ("study", "profile", "reports", "plugins", "now.")


@dataclass(frozen=True)
class Address:
    """Where a service listens, and how many studies it carries out at once."""

    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add where to listen, and how many studies are carried out at once."""
    if parser.prog.endswith(" serve"):
        parser.add_argument("--host", default="127.0.0.1", help="an address of this machine")
    number = "studies at once, 1 where nothing is said; each has the workers of its engine"
    parser.add_argument("--workers", type=int, default=1, metavar="N", help=number)


def asked(options: argparse.Namespace, port: str) -> Address:
    """Return what a command line asks for. Errors: ``ConfigurationError``."""
    if not port.isdigit() or int(port) > HIGHEST:
        raise ConfigurationError(f"port: expected a number such as 5000, found {port!r}")
    if options.workers < 0:
        raise ConfigurationError(f"--workers: expected a number, found {options.workers}")
    return Address(getattr(options, "host", "127.0.0.1"), int(port), options.workers)


def work(call: Call, at: Address) -> int:
    """Carry out what is submitted to the store of a project, until a signal ends it."""
    lab = lab_of(call, max(1, at.workers))
    workers = lab.workers
    assert workers is not None
    say(f"working for {redact(lab.submissions.uri)} (Ctrl-C ends it)")
    workers.start()
    try:
        signal.pause()
    finally:
        workers.stop()
    return 0


def serve(call: Call, at: Address) -> int:
    """Serve a project until a signal ends it; its words are settings of every study's call.

    Errors: ``ConfigurationError``, ``StoreError``.
    """
    with _listening(at) as listening:
        port = listening.getsockname()[1]
        lab = lab_of(call, at.workers)
        say(f"lab    http://{at.host}:{port}/ (MLflow: /mlflow/, API: /api/v1/)")
        say(f"store  {redact(lab.store)}")
        say("Ctrl-C ends it; studies that wait or run go on when it is back")
        try:
            _run(lab, listening, port)
        finally:
            if lab.workers:
                lab.workers.stop()
            lab.checker.close()
            lab.drawer.close()
    return 0


def lab_of(call: Call, workers: int) -> Lab:
    """Return the lab of a project, whose queue is open and whose workers have not begun.

    No plug-in is imported here, nor any study read: that is for who carries one out.
    """
    from ablation_lab.service.api import Lab
    from ablation_lab.service.aside import Aside
    from ablation_lab.service.checking import Checker
    from ablation_lab.service.hub import Hub
    from ablation_lab.service.submissions import Submissions
    from ablation_lab.service.tables import service_uri
    from ablation_lab.service.worker import Workers

    tracking, project = _tracking(call), Path.cwd()
    submissions = Submissions(service_uri(tracking.queue))
    plugins = (*call.plugins, *typed_plugins(call.words))
    given = [word for word in call.words if not word.lstrip("+").startswith(OF_STUDIES)]
    carrying = Workers(submissions, number=workers, project=project, plugins=plugins, words=given)
    return Lab(
        project=project,
        store=tracking.uri,
        submissions=submissions,
        hub=Hub(submissions),
        checker=Checker(project, plugins, given),
        drawer=Aside(project, plugins),
        workers=carrying if workers else None,
    )


def _tracking(call: Call) -> Tracking:
    """Go to the project of a call; return where it keeps its runs."""
    project = open_project(call.project)
    os.chdir(call.project)
    words = [word for word in call.words if not word.lstrip("+").startswith("study=")]
    one = [f"study=[{name}]" for name in project.declared[:1]]
    return settings_of(compose(project, [*words, *one])).tracking


def _run(lab: Lab, listening: socket.socket, port: int) -> None:
    import uvicorn

    from ablation_lab.service.app import application

    class Server(uvicorn.Server):
        """Tells streams that the server ends, which wait for events otherwise."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            lab.hub.end()
            await super().shutdown(sockets)

    app = application(lab, hosts_of(port, LOOPBACK))
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=3
    )
    Server(settings).run(sockets=[listening])


def _listening(at: Address) -> socket.socket:
    """Return a socket that listens. Errors: ``ConfigurationError``."""
    if at.host not in LOCAL:
        raise ConfigurationError(
            f"--host: expected one of {', '.join(LOCAL)}, found {at.host!r}: anybody who "
            "reaches the service may train here; have a proxy or ssh -L lead to it from elsewhere"
        )
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    try:
        return socket.create_server((at.host, at.port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"port: {at.port} on {at.host}: {error.strerror}; choose another, as in port=5001"
        ) from None

"""`ablation serve`: the service of a project, at one address.

Comes in: an invocation, and where to listen. Goes out: three lines, then a server, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablation_lab.errors import ConfigurationError, redact
from ablation_lab.output import say
from ablation_lab.service.guard import LOOPBACK, hosts_of

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Invocation
    from ablation_lab.service.api import Lab

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


def work(call: Invocation, words: Sequence[str], at: Address) -> int:
    """Carry out what is submitted to the store of a project, until a signal ends it."""
    workers = lab_of(call, words, max(1, at.workers)).workers
    assert workers is not None
    say(f"working for {redact(call.queue_uri)} (Ctrl-C ends it)")
    workers.start()
    try:
        signal.pause()
    finally:
        workers.stop()
    return 0


def serve(call: Invocation, words: Sequence[str], at: Address) -> int:
    """Serve a project until a signal ends it; ``words`` are settings of every study's call.

    Errors: ``ConfigurationError``, ``StoreError``.
    """
    with _listening(at) as listening:
        port = listening.getsockname()[1]
        lab = lab_of(call, words, at.workers)
        say(f"lab    http://{at.host}:{port}/ (MLflow: /mlflow/, API: /api/v1/)")
        say(f"store  {redact(call.tracking_uri)}")
        say("Ctrl-C ends it; studies that wait or run go on when it is back")
        try:
            _run(lab, listening, port)
        finally:
            if lab.workers:
                lab.workers.stop()
            lab.checker.close()
    return 0


def lab_of(call: Invocation, words: Sequence[str], workers: int) -> Lab:
    """Return the lab of a project, whose queue is open and whose workers have not begun."""
    from ablation_lab.service.api import Lab
    from ablation_lab.service.checking import Checker
    from ablation_lab.service.hub import Hub
    from ablation_lab.service.submissions import Submissions
    from ablation_lab.service.tables import service_uri
    from ablation_lab.service.worker import Workers

    submissions = Submissions(service_uri(call.queue_uri))
    project = Path.cwd()
    given = [word for word in words if not word.lstrip("+").startswith(OF_STUDIES)]
    carrying = Workers(
        submissions, number=workers, project=project, plugins=call.plugins, words=given
    )
    return Lab(
        project=project,
        store=call.tracking_uri,
        submissions=submissions,
        hub=Hub(submissions),
        checker=Checker(project, call.plugins, given),
        workers=carrying if workers else None,
    )


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

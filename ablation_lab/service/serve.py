"""`ablation serve`: the service of a project, at one address.

Comes in: an invocation, and where to listen. Goes out: three lines, then a server, until Ctrl-C.
Beyond this machine it listens only where tokens say who may come in, and under the names that it is
told.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablation_lab.errors import ConfigurationError, redact
from ablation_lab.output import say
from ablation_lab.runner.composition import compose
from ablation_lab.runner.configuration import Call as Settings
from ablation_lab.runner.configuration import settings_of
from ablation_lab.runner.plugins import typed_plugins
from ablation_lab.service.secret import private
from ablation_lab.study.project import open_project

if TYPE_CHECKING:
    from ablation_lab.service.api import Lab
    from ablation_lab.service.guard import Gate
    from ablation_lab.service.users import Users
    from ablation_lab.verb import Call

LOCAL = ("127.0.0.1", "::1", "localhost")
HIGHEST = 65_535
OWN = ("host", "port", "allowed_hosts", "tls.certificate", "tls.key")
OF_STUDIES = ("study", "profile", "reports", "plugins", "now.")


@dataclass(frozen=True)
class Address:
    """Where a service listens, under which names, and how many studies it carries out at once."""

    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1
    allowed_hosts: tuple[str, ...] = ()
    tls: tuple[Path, Path] | None = None  # certificate and key

    @property
    def is_wide(self) -> bool:
        """Whether others than who is on this machine may ask."""
        return self.host not in LOCAL or bool(self.allowed_hosts)

    @property
    def url(self) -> str:
        """Where clients find it."""
        name = self.allowed_hosts[0] if self.allowed_hosts else self.host
        named = name if ":" in name else f"{name}:{self.port}"
        return f"{'https' if self.tls else 'http'}://{named}/"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how many studies are carried out at once."""
    number = "studies at once, 1 where nothing is said; each has the workers of its engine"
    parser.add_argument("--workers", type=int, default=1, metavar="N", help=number)


def asked(options: argparse.Namespace, given: Mapping[str, str]) -> Address:
    """Return what a command line asks for: its words of `OWN`. Errors: ``ConfigurationError``."""
    port = given.get("port", "5000")
    if not port.isdigit() or int(port) > HIGHEST:
        raise ConfigurationError(f"port: expected a number such as 5000, found {port!r}")
    if options.workers < 0:
        raise ConfigurationError(f"--workers: expected a number, found {options.workers}")
    names = given.get("allowed_hosts", "").strip("[]").split(",")
    return Address(
        given.get("host", "127.0.0.1"),
        int(port),
        options.workers,
        tuple(name.strip().lower() for name in names if name.strip()),
        _tls(given.get("tls.certificate", ""), given.get("tls.key", "")),
    )


def _tls(certificate: str, key: str) -> tuple[Path, Path] | None:
    """Return the files of a certificate and its key, which belong together and are kept well."""
    if not certificate and not key:
        return None
    if not certificate or not key:
        raise ConfigurationError("tls: expected both tls.certificate= and tls.key=, found one")
    paths = Path(certificate).absolute(), Path(key).absolute()
    try:
        private(paths[1], "tls.key")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*paths, password=lambda: "")
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        said = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"tls: {paths[0]}, {paths[1]}: expected a certificate and its key without a password, "
            f"as PEM; found: {said}"
        ) from None
    return paths


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
    from ablation_lab.service.guard import Gate, hosts_of

    with _listening(at) as listening:
        port = listening.getsockname()[1]
        at, lab = replace(at, port=port), lab_of(call, at.workers)
        gate = Gate(hosts_of(port, at.allowed_hosts), _users(lab, at), lab.audit, closed=at.is_wide)
        say(f"lab    {at.url} (MLflow: /mlflow/, API: /api/v1/)")
        say(f"store  {redact(lab.store)}")
        say("Ctrl-C ends it; studies that wait or run go on when it is back")
        try:
            _run(lab, listening, gate, at)
        finally:
            if lab.workers:
                lab.workers.stop()
            if lab.notifier:
                lab.notifier.stop()
            lab.checker.close()
            lab.drawer.close()
    return 0


def _users(lab: Lab, at: Address) -> Users:
    """Return who may come in. Errors: ``ConfigurationError`` where others could, but none may."""
    from ablation_lab.service.users import Users

    users = Users(lab.submissions.uri)
    if at.is_wide and not any(each.state == "active" for each in users.tokens()):
        raise ConfigurationError(
            "host: anybody who reaches the service could train here: expected at least one token, "
            "found none; make one: `ablation users add NAME --scope admin`"
        )
    return users


def lab_of(call: Call, workers: int) -> Lab:
    """Return the lab of a project, whose queue is open and whose workers have not begun.

    No plug-in is imported here, nor any study read: that is for who carries one out.
    """
    from ablation_lab.service.api import Lab
    from ablation_lab.service.aside import Aside
    from ablation_lab.service.audit import Audit
    from ablation_lab.service.checking import Checker
    from ablation_lab.service.drawing import decided
    from ablation_lab.service.hooks import hooks_of
    from ablation_lab.service.hub import Hub
    from ablation_lab.service.notices import Notifier
    from ablation_lab.service.submissions import Submissions
    from ablation_lab.service.tables import service_uri
    from ablation_lab.service.worker import Workers

    settings = settings_at(call)
    tracking, project = settings.tracking, Path.cwd()
    submissions = Submissions(service_uri(tracking.queue))
    plugins = (*call.plugins, *typed_plugins(call.words))
    given = [word for word in call.words if not word.lstrip("+").startswith(OF_STUDIES)]
    carrying = Workers(submissions, number=workers, project=project, plugins=plugins, words=given)
    drawer, hooks = Aside(project, plugins), hooks_of(settings.notify)
    return Lab(
        project=project,
        store=tracking.uri,
        submissions=submissions,
        hub=Hub(submissions),
        checker=Checker(project, plugins, given),
        drawer=drawer,
        notifier=Notifier(
            submissions, hooks, lambda study: drawer.call(decided, submissions.uri, study)
        ),
        audit=Audit(submissions.uri),
        workers=carrying if workers else None,
        words=(*(word for each in plugins for word in ("-p", each)), *given),
    )


def settings_at(call: Call) -> Settings:
    """Go to the project of a call; return what it says, but for its studies."""
    project = open_project(call.project)
    os.chdir(call.project)
    words = [word for word in call.words if not word.lstrip("+").startswith("study=")]
    one = [f"study=[{name}]" for name in project.declared[:1]]
    return settings_of(compose(project, [*words, *one]))


def _run(lab: Lab, listening: socket.socket, gate: Gate, at: Address) -> None:
    import uvicorn

    from ablation_lab.service.app import application

    class Server(uvicorn.Server):
        """Tells streams that the server ends, which wait for events otherwise."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            lab.hub.end()
            await super().shutdown(sockets)

    certificate, key = at.tls or (None, None)
    settings = uvicorn.Config(
        application(lab, gate),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    Server(settings).run(sockets=[listening])


def _listening(at: Address) -> socket.socket:
    """Return a socket that listens. Errors: ``ConfigurationError``."""
    if at.host not in LOCAL and not at.allowed_hosts:
        raise ConfigurationError(
            f"host: {at.host}: expected allowed_hosts= with the names by which others call this "
            "machine, as in allowed_hosts=lab.example.org, found none"
        )
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    try:
        return socket.create_server((at.host, at.port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"port: {at.port} on {at.host}: {error.strerror}; choose another, as in port=5001"
        ) from None

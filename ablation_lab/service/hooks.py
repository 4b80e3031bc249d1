"""Whom the project has told what happens: webhooks and commands, under `notify:` of its settings.

Comes in: the settings of a project, which no submitted study can change. Goes out: hooks, which
tell one thing each. A webhook goes to hosts that are named as such, at addresses of the internet
alone unless a host is named as private, and follows no redirect: what it reaches was meant.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import urllib3
from pydantic import Field

from ablation_lab.errors import ConfigurationError, keep_secret
from ablation_lab.study.reading import Written, read_model

PATIENCE = 10.0  # seconds for an answer
LONGEST = 60.0  # seconds that a command may take
SHORTEST = 16  # letters of a secret
PLACE = "config.yaml"


class Happening(StrEnum):
    """What hooks are told of: a study ended (succeeded or cancelled) or failed, or a verdict."""

    ENDED = "ended"
    FAILED = "failed"
    DECIDED = "decided"


Happenings = Annotated[tuple[Happening, ...], Field(min_length=1)]


class Webhook(Written):
    """An address that is told by POST, and the secret by which it knows who tells."""

    url: str
    secret: str
    events: Happenings = tuple(Happening)


class Command(Written):
    """A program with its arguments, which is told on its standard input."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    events: Happenings = tuple(Happening)


class Notify(Written):
    """Hosts that may be told, those of them that are of one's own network, and the hooks."""

    hosts: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class Hook:
    """Somebody who is told."""

    events: frozenset[Happening]

    @property
    def id(self) -> str:
        """By which what it is to be told is kept over a restart."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()

    @property
    def names(self) -> Sequence[str]:
        """What makes it this one."""
        raise NotImplementedError

    def tell(self, name: str, content: str) -> str:
        """Tell it, in JSON; return '' where it was heard, else why not."""
        raise NotImplementedError


@dataclass(frozen=True)
class Program(Hook):
    """A command of the project's."""

    command: tuple[str, ...]

    @property
    def names(self) -> Sequence[str]:
        """Its arguments."""
        return ("command", *self.command)

    def tell(self, name: str, content: str) -> str:
        """Have it read the event."""
        try:
            subprocess.run(
                self.command, input=content.encode(), check=True, timeout=LONGEST,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            return f"{self.command[0]}: {error}"
        return ""


@dataclass(frozen=True)
class Address(Hook):
    """A webhook whose address may be asked."""

    url: str
    secret: str = field(repr=False)
    private: bool = False

    @property
    def names(self) -> Sequence[str]:
        """Its address."""
        return ("webhook", self.url)

    def tell(self, name: str, content: str) -> str:
        """Send a signed POST."""
        body, at = content.encode(), str(int(time.time()))
        headers = {
            "Host": urlsplit(self.url).netloc,
            "Content-Type": "application/json",
            "User-Agent": "ablation-lab",
            "X-Ablation-Delivery": name,
            "X-Ablation-Timestamp": at,
            "X-Ablation-Signature": f"sha256={signature(self.secret, at, body)}",
        }
        try:
            answer = self._sent(body, headers)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            return f"{urlsplit(self.url).netloc}: {error}"
        fine = 200 <= answer.status < 300
        return "" if fine else f"{urlsplit(self.url).netloc}: answered {answer.status}"

    def _sent(self, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """Ask the very address that was looked at: a name may lead elsewhere the next time."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        place: dict[str, Any] = {"host": self._address(str(parts.hostname), port), "port": port}
        asked: dict[str, Any] = {"redirect": False, "retries": False, "timeout": PATIENCE}
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        with _pool(parts.hostname if parts.scheme == "https" else None, place) as pool:
            return pool.urlopen("POST", path, body=body, headers=headers, **asked)

    def _address(self, host: str, port: int) -> str:
        found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        for each in found:
            if not self.private and not is_public(str(each)):
                raise OSError(f"{each} is not of the internet; name the host under notify.private")
        return str(found[0])


def _pool(certified: str | None, place: dict[str, Any]) -> urllib3.HTTPConnectionPool:
    """Return connections to a place, whose certificate is that of a name."""
    if certified is None:
        return urllib3.HTTPConnectionPool(**place)
    return urllib3.HTTPSConnectionPool(
        **place, server_hostname=certified, assert_hostname=certified
    )


def is_public(address: str) -> bool:
    """Whether an address is one of the internet, and not of this machine or a network of ours."""
    found = ipaddress.ip_address(address.partition("%")[0])
    real = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None) or found
    return bool(real.is_global and not real.is_multicast)


def signature(secret: str, at: str, body: bytes) -> str:
    """Return HMAC-SHA256 of ``timestamp.body``, by which a receiver knows who tells, and when."""
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def hooks_of(settings: dict[str, Any]) -> list[Hook]:
    """Return whom a project tells. Errors: ``ConfigurationError``."""
    asked = read_model(Notify, settings, PLACE)
    made: list[Hook] = [_address(each, asked) for each in asked.webhooks]
    return made + [Program(frozenset(each.events), each.command) for each in asked.commands]


def _address(hook: Webhook, asked: Notify) -> Address:
    parts, place = urlsplit(hook.url), f"{PLACE}: notify.webhooks"
    private = parts.hostname in asked.private
    if parts.hostname not in (*asked.hosts, *asked.private):
        known = ", ".join((*asked.hosts, *asked.private)) or "none"
        raise ConfigurationError(
            f"{place}: {parts.hostname!r} is none of notify.hosts ({known}); name it there"
        )
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise ConfigurationError(f"{place}: expected https://…, found {parts.scheme}://…")
    if parts.username or parts.password:
        raise ConfigurationError(f"{place}: an address has no room for a password; use secret")
    if len(hook.secret) < SHORTEST:
        raise ConfigurationError(
            f"{place}: secret: expected {SHORTEST} letters or more, as from "
            "${oc.env:LAB_HOOK_SECRET}"
        )
    keep_secret(f"https://hook:{quote(hook.secret, safe='')}@{parts.hostname}")
    return Address(frozenset(hook.events), hook.url, hook.secret, private)

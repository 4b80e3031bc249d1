"""Who may do what: tokens of users and of links, kept beside submitted studies.

Comes in: a token, as a client shows it. Goes out: whose it is and what it lets do. Kept is its
SHA-256 alone, which lets nobody in. A slow hash, as passwords need one, would add nothing: it makes
each guess dear, and 256 random bits are not guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Column, Float, Integer, Row, String, Table, insert, or_, select, update

from ablation_lab.errors import ConfigurationError
from ablation_lab.service.tables import META, opened

PREFIX = "abl_"  # says to readers, and to who looks for leaked secrets, what it is
DAY = 86_400.0
NAME = re.compile(r"[A-Za-z][\w.@-]{0,99}")
USERS = Table(
    "ablation_users",
    META,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("digest", String(64), unique=True, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),  # NULL: never
    Column("revoked", Float),  # NULL: not
    sqlite_autoincrement=True,
)


class Scope(StrEnum):
    """What a token lets do; each lets do what those before it let do."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        """Whether it lets do what takes another one."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class User:
    """Who asks; without a name, whoever is on this machine where no token is asked for."""

    name: str = ""
    scope: Scope = Scope.ADMIN

    def may_change(self, owner: str) -> bool:
        """Whether what somebody submitted is theirs to change."""
        return self.scope is Scope.ADMIN or (self.scope is Scope.SUBMIT and self.name == owner)


@dataclass(frozen=True)
class Token:
    """A token as it is kept; ``expires`` and ``revoked`` are seconds since 1970, or None."""

    number: int
    user: User
    created: float
    expires: float | None
    revoked: float | None

    @property
    def state(self) -> str:
        """Whether it lets anybody in: active, expired or revoked."""
        if self.revoked is not None:
            return "revoked"
        expired = self.expires is not None and self.expires <= time.time()
        return "expired" if expired else "active"


class Users:
    """The tokens of a database. Errors: ``StoreError``."""

    def __init__(self, uri: str) -> None:
        """Open the database; it is created where it does not exist."""
        self._engine = opened(uri)

    def add(self, name: str, scope: Scope, *, days: float = 0) -> str:
        """Return a new token, which nobody can be told again; ``days`` 0 is for ever.

        Errors: ``ConfigurationError`` for a name that is none.
        """
        if not NAME.fullmatch(name):
            raise ConfigurationError(
                f"users: expected a name of letters, digits and . _ - @, found {name[:100]!r}"
            )
        token, now = PREFIX + secrets.token_urlsafe(32), time.time()
        expires = now + days * DAY if days else None
        row = {"name": name, "scope": scope, "digest": _digest(token), "created": now}
        with self._engine.begin() as connection:
            connection.execute(insert(USERS).values(expires=expires, **row))
        return token

    def find(self, token: str) -> User | None:
        """Return whose an active token is; asked anew each time, so that a revoked one is none."""
        digest = _digest(token)
        with self._engine.connect() as connection:
            row = connection.execute(select(USERS).where(USERS.c.digest == digest)).first()
        # The index told by digests, of which nobody chooses the letters; this tells in even time.
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        known = _token(row)
        return known.user if known.state == "active" else None

    def tokens(self) -> list[Token]:
        """Return every token that there ever was, the first one first."""
        with self._engine.connect() as connection:
            return [_token(row) for row in connection.execute(select(USERS).order_by("number"))]

    def any(self) -> bool:
        """Whether there ever was a token: who revokes the last one leaves no open door."""
        with self._engine.connect() as connection:
            return connection.execute(select(USERS.c.number).limit(1)).first() is not None

    def revoke(self, which: str) -> int:
        """Revoke the tokens of a name, or the one of a number; return how many.

        Errors: ``ConfigurationError`` where there is none.
        """
        number = int(which) if which.isdigit() else 0
        meant = or_(USERS.c.name == which, USERS.c.number == number)
        active = update(USERS).where(meant, USERS.c.revoked.is_(None))
        with self._engine.begin() as connection:
            found = connection.execute(active.values(revoked=time.time())).rowcount
        if not found:
            raise ConfigurationError(f"users: no token of {which!r}; see `ablation users list`")
        return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _token(row: Row[tuple[object, ...]]) -> Token:
    user = User(row.name, Scope(row.scope))
    return Token(row.number, user, row.created, row.expires, row.revoked)

"""`ablation users add | list | revoke | link`: who may ask a service, on its own machine."""

from __future__ import annotations

import argparse
import getpass
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.output import say
from ablation_lab.service.audit import Audit, Entry
from ablation_lab.service.client import URL
from ablation_lab.service.serve import settings_at
from ablation_lab.service.tables import service_uri
from ablation_lab.service.users import Scope, Token, Users

if TYPE_CHECKING:
    from ablation_lab.verb import Call

ACTIONS = ("add", "list", "revoke", "link")
YEAR, MONTH = 365.0, 30.0  # days that tokens and links last where nothing is said


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a new token lets do, and for how long."""
    parser.add_argument("--scope", choices=[*Scope], default=Scope.SUBMIT, help="of a new token")
    parser.add_argument("--days", type=float, help="that it lasts, 0 for ever; a year, a link 30")
    parser.add_argument("--server", metavar="URL", default=URL, help="where a link leads")


def act(call: Call) -> int:
    """Do what is asked; a new token is printed, this once. Errors: ``ConfigurationError``."""
    settings = tuple(word for word in call.words if "=" in word)
    action, *names = [word for word in call.words if word not in settings] or [""]
    if action not in ACTIONS:
        raise ConfigurationError(f"users: unknown action {action!r}; {nearest(action, ACTIONS)}")
    if len(names) != (action != "list"):
        raise ConfigurationError(f"users: expected one name, as in `ablation users {action} anna`")
    uri = service_uri(settings_at(replace(call, words=settings)).tracking.queue)
    users, audit = Users(uri), Audit(uri)
    if action == "list":
        for token in users.tokens():
            say(_line(token))
    elif action == "revoke":
        say(f"revoked {users.revoke(names[0])} of {names[0]}")
        _note(audit, f"users revoke {names[0]}")
    else:
        _make(users, call.options, names[0], link=action == "link")
        _note(audit, f"users {action} {names[0]}")
    return 0


def _make(users: Users, options: argparse.Namespace, name: str, *, link: bool) -> None:
    days = options.days if options.days is not None else MONTH if link else YEAR
    if not 0 <= days < float("inf"):
        raise ConfigurationError(f"--days: expected a number of days, found {days}")
    token = users.add(name, Scope.READ if link else Scope(options.scope), days=days)
    # Behind the #, so that no server, log or other site ever hears of it.
    said = f"{options.server.rstrip('/')}/login#{token}" if link else token
    print(said, flush=True)  # noqa: T201 - the only line with a secret, this once


def _line(token: Token) -> str:
    ends = f"until {_day(token.expires)}" if token.expires else "for ever"
    known = (token.number, token.user.name, token.user.scope, token.state, _day(token.created))
    return "{:>4}  {:<20} {:<7} {:<8} since {} {}".format(*known, ends)


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def _note(audit: Audit, what: str) -> None:
    try:
        who = getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for its user
        who = ""
    audit.add(Entry(who, "command line", what, 0))

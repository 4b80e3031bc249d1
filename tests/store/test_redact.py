"""No secret of an address is printed, whatever it is made of; the rest stays as it is."""

from __future__ import annotations

import string
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation_lab.errors import StoreError, keep_secret, redact
from ablation_lab.store.places import validate_queue, validate_readable
from ablation_lab.store.runs import stored_runs
from ablation_lab.store.write import Tracker

SCHEMES = ("postgresql", "postgresql+psycopg", "mysql", "http", "https")
# A secret that the rest of an address does not hold by chance.
PREFIX = "QZ"
SECRETS = st.text(string.ascii_letters + string.digits + string.punctuation, max_size=12).map(
    lambda text: f"{PREFIX}{text}{PREFIX}"
)
IN_QUERY = (
    "password",
    "sslpassword",
    "passwd",
    "PWD",
    "token",
    "access_token",
    "api_key",
    "secret",
)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(password=SECRETS, escaped=st.booleans())
def test_no_password_is_printed(scheme: str, password: str, escaped: bool) -> None:
    written = quote(password, safe="") if escaped else password
    uri = f"{scheme}://me:{written}@host:5432/name"
    assert redact(uri) == f"{scheme}://me:***@host:5432/name"
    line = redact(f"store {uri}: cannot be opened: could not connect to {uri!r}, timed out")
    assert PREFIX not in line
    assert line.endswith(", timed out")
    assert redact(redact(uri)) == redact(uri)


@pytest.mark.parametrize("name", IN_QUERY)
@given(secret=SECRETS)
def test_no_secret_of_a_query_is_printed(name: str, secret: str) -> None:
    uri = f"postgresql://me@host/name?{name}={quote(secret, safe='')}&sslmode=require"
    assert redact(uri) == f"postgresql://me@host/name?{name}=***&sslmode=require"
    assert redact(f"no answer from {uri}") == f"no answer from {redact(uri)}"


@pytest.mark.parametrize(
    "refuse",
    [
        validate_queue,
        validate_readable,
        lambda uri: stored_runs(uri, ["a"]),
        lambda uri: Tracker(uri, None),
    ],
)
@pytest.mark.parametrize(
    "uri",
    [
        "postgresql+nodriver://me:QZ@p/ss@host/name",
        "nosql://me:QZss@host/name?password=QZss",
        "http://me:QZss@127.0.0.1:9",
        "http://127.0.0.1:9?token=QZss",
        "password=QZss host=here",
    ],
)
def test_no_refusal_names_a_secret(refuse: Callable[[str], object], uri: str) -> None:
    try:
        refuse(uri)
    except StoreError as error:
        line = str(error)
        assert PREFIX not in line
        assert "\n" not in line


@given(password=st.text(min_size=1, max_size=12).map(lambda text: f"{PREFIX}{text}{PREFIX}"))
def test_an_address_alone_may_hold_any_password(password: str) -> None:
    assert redact(f"postgresql://me:{password}@host/name") == "postgresql://me:***@host/name"


def test_a_token_in_front_of_a_host_is_no_user() -> None:
    assert redact("https://ghp_secret@host/path") == "https://***@host/path"
    assert redact("postgresql://lab@host/path") == "postgresql://lab@host/path"
    assert redact("host=h password='a b c' user=me") == "host=h password=*** user=me"


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///runs/mlflow.db",
        "sqlite:////home/me@work/C: ü/mlflow.db",
        "http://127.0.0.1:5000",
        "store http://127.0.0.1:9: no server answers there; start it, or set tracking.uri",
        "postgresql://lab@127.0.0.1:5432/runs",
        "a token of ten letters",
    ],
)
def test_what_has_no_secret_stays(text: str) -> None:
    assert redact(text) == text


KEPT = {
    "MLFLOW_TRACKING_PASSWORD": "QZpassw@rd",
    "AWS_SECRET_ACCESS_KEY": "QZ/aws+key",
    "GITHUB_TOKEN": "QZtoken",
    "MLFLOW_TRACKING_URI": "postgresql://me:QZ%40first@QZrest@host/name",
}


@pytest.mark.parametrize(
    "text",
    [
        *(f"somebody said {value!r} of it" for value in KEPT.values()),
        'could not translate host name "QZrest@host" to address',
        "no such user QZ@first@QZrest",
        "{'Authorization': 'QZtoken'}",
    ],
)
def test_a_secret_of_the_environment_is_hidden_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for name, value in KEPT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/me/token")
    assert PREFIX not in redact(text)
    assert redact("it is false of /home/me/token") == "it is false of /home/me/token"
    monkeypatch.undo()
    keep_secret(KEPT["MLFLOW_TRACKING_URI"])
    assert "QZrest" not in redact(text)

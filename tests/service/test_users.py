"""Who may do what: tokens, links, cookies, the log; what a service beyond this machine takes."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from ablation_lab import Server
from ablation_lab.errors import ConfigurationError, redact
from ablation_lab.service import client
from ablation_lab.service.audit import Audit, Entry
from ablation_lab.service.guard import Rate
from ablation_lab.service.rights import needed
from ablation_lab.service.submissions import Submission, Submissions
from ablation_lab.service.users import Scope, Users
from tests.service.lab import Closed, Service, study
from tests.service.test_api import refused

API = "/api/v1/studies"
READ, SUBMIT, ADMIN = Scope


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/service.db"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """A service that others may ask, with a token."""
    service = Closed(tmp_path_factory.mktemp("closed"))
    yield service
    assert service.stop() in (0, 143)


def test_a_token_is_kept_as_its_digest_and_ends(uri: str, tmp_path: Path) -> None:
    users = Users(uri)
    token = users.add("anna", SUBMIT)
    short = users.add("bert", READ, days=0.3 / 86_400)
    assert re.fullmatch(r"abl_[\w-]{43}", token)
    assert users.find(token) is not None
    assert token not in redact(f"got {token}, and http://lab/login#{token}")
    for wrong in ("", token[:-1], f"{token}a", "abl_"):
        assert users.find(wrong) is None
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.encode() not in kept
    time.sleep(0.4)  # what is tested: that time passes
    assert users.find(short) is None
    # Another process revokes it: this one knows at once.
    assert Users(uri).revoke("anna") == 1
    assert users.find(token) is None
    assert [each.state for each in users.tokens()] == ["revoked", "expired"]
    assert users.any()
    for name in ("anna", "nobody", "1"):
        with pytest.raises(ConfigurationError, match="no token"):
            users.revoke(name)
    for name in ("", "1st", "a b", "a" * 101, "a\n", "<b>"):
        with pytest.raises(ConfigurationError, match="expected a name"):
            users.add(name, READ)


def test_a_log_is_only_added_to_and_holds_no_secret(uri: str) -> None:
    audit = Audit(uri)
    audit.add(Entry("anna", "::1", "POST /x?password=hidden", 201))
    audit.add(Entry("", "::1", "GET /" + "x" * 1000, 401))
    first, second = audit.entries()
    assert (first["user"], first["status"], second["status"]) == ("anna", 201, 401)
    assert "hidden" not in first["asked"]
    assert audit.entries(first["number"]) == [second]
    engine = create_engine(uri)
    for change in ("UPDATE ablation_audit SET user = 'b'", "DELETE FROM ablation_audit"):
        with pytest.raises(IntegrityError, match="only added to"), engine.begin() as connection:
            connection.execute(text(change))
    engine.dispose()


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/healthz", None),
        ("GET", "/api/v1/studies/x/events", READ),
        ("GET", "/metrics", READ),
        ("POST", "/api/v1/studies/x/cancel", SUBMIT),
        ("GET", "/api/v1/audit", ADMIN),
        ("GET", "/mlflow/", READ),
        ("GET", "/mlflow/ajax-api/3.0/mlflow/gateway/endpoints/list", READ),
        ("POST", "/mlflow/graphql", READ),
        ("POST", "/mlflow/api/2.0/mlflow/runs/search", READ),
        ("POST", "/mlflow/ajax-api/2.0mlflow/experiments/search-datasets", READ),
        ("POST", "/mlflow/api/2.0/mlflow/runs/log-batch", SUBMIT),
        ("POST", "/mlflow/api/2.0/mlflow/runs/delete", SUBMIT),
        ("PUT", "/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a/model", SUBMIT),
        ("DELETE", "/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a", ADMIN),
        ("POST", "/mlflow/api/2.0/mlflow/experiments/delete", ADMIN),
        ("PATCH", "/mlflow/api/2.0/mlflow/registered-models/update", ADMIN),
    ],
)
def test_each_request_takes_its_scope(method: str, path: str, scope: Scope | None) -> None:
    assert needed(method, path) is scope


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "ajax-api/2.0/mlflow/webhooks"),
        ("POST", "ajax-api/3.0/mlflow/assistant/message"),
        ("GET", "ajax-api/3.0/mlflow/assistant/sessions/1/stream"),
        ("GET", "ajax-api/2.0/mlflow/gateway-proxy"),
        ("POST", "gateway/mlflow/v1/chat/completions"),
        ("POST", "ajax-api/3.0/jobs/"),
        ("POST", "ajax-api/3.0/mlflow/genai/evaluate/invoke"),
        ("POST", "ajax-api/2.0/mlflow/runs/create-promptlab-run"),
        ("POST", "ajax-api/3.0/mlflow/gateway/secrets/create"),
        ("POST", "api/2.0/mlflow//runs/../webhooks"),
        ("TRACE", "api/2.0/mlflow/runs/search"),
    ],
)
def test_parts_of_mlflow_that_start_or_call_something_are_nobodys(method: str, path: str) -> None:
    with pytest.raises(PermissionError, match="not served"):
        needed(method, f"/mlflow/{path}")


def test_a_study_of_others_waits_its_turn(uri: str) -> None:
    queue = Submissions(uri)
    wanted = [("a1", "anna", 0), ("a2", "anna", 9), ("a3", "anna", 0), ("b1", "bert", 0)]
    for name, user, priority in [*wanted, ("c1", "", -5)]:
        queue.submit(Submission(name, "s", "smoke", "s: {}", user, priority))
    taken = [queue.take() for _ in range(4)]
    assert [row.id for row in taken if row] == ["a2", "b1", "c1", "a1"]
    queue.end("b1", 1, 0, "")
    queue.submit(Submission("b2", "s", "smoke", "s: {}", "bert"))
    # Two of anna's are in work, none of bert's.
    assert [row.id for row in iter(queue.take, None)] == ["b2", "a3"]


def test_a_database_of_the_version_before_goes_on(tmp_path: Path, uri: str) -> None:
    with sqlite3.connect(tmp_path / "service.db") as old:
        old.executescript((Path(__file__).parent / "before_tokens.sql").read_text())
    old.close()
    queue = Submissions(uri)
    head = queue.head("0123456789abcdef")
    assert (head.study, head.state, head.user) == ("width", "queued", "anna")
    assert [event.kind for event in queue.events()] == ["state"]
    row = queue.take()
    assert row is not None
    assert row.taken > 0
    assert not Users(uri).any()
    # A service of that version, which may still be at work, reads what this one writes.
    with sqlite3.connect(tmp_path / "service.db") as old:
        old.execute("UPDATE ablation_studies SET beat = beat + 1 WHERE fence = 1")
    old.close()
    assert Submissions(uri).row(row.id).beat == 1


def test_a_rate_admits_again_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("ablation_lab.service.guard.time.monotonic", lambda: clock[0])
    rate = Rate(each_second=0.5, burst=2)
    assert [rate.admits("a") for _ in range(3)] == [True, True, False]
    assert rate.admits("b")
    clock[0] = 2.0
    assert [rate.admits("a") for _ in range(2)] == [True, False]


def test_scopes_hold_over_http(closed: Closed) -> None:
    reader, user, admin = map(closed.as_, Scope)
    assert closed.get("/healthz").ok
    assert refused(closed.get(API), 401).startswith("token: found none")
    body = {"tiny": study("closed")}
    assert "scope submit is needed" in refused(reader.post(API, json=body), 403)
    own = user.post(API, json=body)
    assert (own.status_code, own.json()["user"]) == (201, "a-submit")
    path = f"{API}/{own.json()['id']}"
    assert user.post(f"{path}/pause").ok
    assert user.post(f"{path}/cancel").ok
    changes = reader.get(path).json()["changes"]
    assert "cancel asked for by a-submit" in [change["reason"] for change in changes]
    other = admin.post(API, json={"tiny": study("an administrator's")}).json()["id"]
    assert "a-admin's" in refused(user.post(f"{API}/{other}/cancel"), 403)
    assert admin.post(f"{API}/{other}/cancel").ok
    refused(user.get("/api/v1/audit"), 403)
    log = {
        (each["user"], each["asked"], each["status"]) for each in admin.get("/api/v1/audit").json()
    }
    assert ("a-submit", f"POST {API}", 201) in log
    assert ("", f"GET {API}", 401) in log
    assert ("a-submit", f"POST {API}/{other}/cancel", 403) in log


def test_names_and_hosts_that_are_allowed_are_the_only_ones(closed: Closed) -> None:
    for host in ("lab.test", f"lab.test:{closed.port}"):
        assert closed.get("/healthz", headers={"Host": host}).ok
        own = {"Host": host, "Origin": f"https://{host}"}
        assert closed.post("/login", headers=own, allow_redirects=False).status_code == 303
    for host in ("evil.test", "lab.test:1", "xlab.test", ""):
        refused(closed.get("/healthz", headers={"Host": host}), 421)
    foreign = {"Origin": "https://evil.test"}
    refused(closed.as_(ADMIN).post(f"{API}/x/cancel", headers=foreign), 403)
    refused(closed.as_(ADMIN).post(f"{API}/x/cancel", headers={"Origin": "null"}), 403)


def test_a_browser_signs_in_and_out(closed: Closed) -> None:
    with requests.Session() as browser:
        browser.trust_env, browser.verify = False, str(closed.authority)
        browser.headers["Accept"] = "text/html"
        assert browser.get(f"{closed.url}/").url == f"{closed.url}/login"
        wrong = browser.post(f"{closed.url}/login", data={"token": "abl_wrong"})
        assert (wrong.status_code, "was revoked" in wrong.text) == (401, True)
        data = {"token": closed.tokens[READ]}
        came = browser.post(f"{closed.url}/login", data=data, allow_redirects=False)
        said = came.headers["set-cookie"]
        assert all(word in said for word in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"))
        assert browser.get(f"{closed.url}/").url == f"{closed.url}/"
        assert "You are a-read" in browser.get(f"{closed.url}/login").text
        refused(browser.post(f"{closed.url}{API}/x/cancel"), 403)
        browser.post(f"{closed.url}/login")
        assert browser.get(f"{closed.url}/").url == f"{closed.url}/login"
    assert "location.hash" in closed.get("/login.js").text


def test_commands_make_tokens_and_clients_show_them(
    closed: Closed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = closed.call("users", "add", "carl", "--scope", "submit", "--days", "7")
    token = made.stdout.strip()
    assert made.returncode == 0, made.stderr
    link = closed.call("users", "link", "seminar", "--server", closed.url).stdout.strip()
    assert link.startswith(f"{closed.url}/login#abl_")
    listed = closed.call("users", "list").stdout
    assert re.search(r"carl +submit +active ", listed)
    assert re.search(r"seminar +read +active ", listed)
    assert token not in listed
    monkeypatch.setenv("ABLATION_CA", str(closed.authority))
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    file.chmod(0o644)
    monkeypatch.setenv("ABLATION_TOKEN_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"can be read by others \(mode 0644\); expected"):
        Server(closed.url).studies()
    file.chmod(0o600)
    assert client.token() == token
    found = Server(closed.url).studies()
    monkeypatch.setenv("ABLATION_TOKEN", link.partition("#")[2])
    assert Server(closed.url).studies() == found
    events = Server(closed.url).stream("/events", 0)
    assert next(events)
    assert closed.call("users", "revoke", "seminar").stdout == "revoked 1 of seminar\n"
    with pytest.raises(ConfigurationError, match="expected one that is active"):
        Server(closed.url).studies()
    # The stream that was open ends as soon as something would be told on it.
    closed.as_(ADMIN).post(API, json={"tiny": study("told to nobody")})
    time.sleep(1.1)
    closed.as_(ADMIN).post(API, json={"tiny": study("told to nobody either")})
    assert len(list(events)) < 100
    assert "users revoke seminar" in closed.as_(ADMIN).get("/api/v1/audit").text


def test_guesses_have_an_end_and_the_right_token_comes_in_all_the_same(closed: Closed) -> None:
    wrong = {"Authorization": "Bearer abl_guessed"}
    found = [closed.get(API, headers=wrong).status_code for _ in range(15)]
    assert found[-1] == 429
    assert set(found) == {401, 429}
    assert closed.as_(READ).get(API).ok


def test_a_remote_worker_tracks_with_its_token(closed: Closed) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    tracked = MlflowClient(f"{closed.url}/mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(closed.authority))
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_TRACKING_TOKEN", closed.tokens[SUBMIT])
        run = tracked.create_run(tracked.create_experiment("remote"))
        tracked.log_metric(run.info.run_id, "m", 0.5)
        tracked.log_text(run.info.run_id, "words", "a.txt")
        patch.setenv("MLFLOW_TRACKING_TOKEN", closed.tokens[READ])
        assert tracked.get_run(run.info.run_id).data.metrics == {"m": 0.5}
        assert [each.path for each in tracked.list_artifacts(run.info.run_id)] == ["a.txt"]
        assert len(tracked.search_runs([run.info.experiment_id])) == 1
        with pytest.raises(MlflowException, match="scope submit is needed"):
            tracked.log_metric(run.info.run_id, "m", 0.7)
        with pytest.raises(MlflowException, match="403"):
            tracked.delete_run(run.info.run_id)
        patch.setenv("MLFLOW_TRACKING_TOKEN", "abl_none")
        # Or too many that are none have been tried on this server.
        with pytest.raises(MlflowException, match=r"token|429"):
            tracked.get_run(run.info.run_id)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["host=0.0.0.0"], "host: 0.0.0.0: expected allowed_hosts= with the names"),
        (["host=0.0.0.0", "allowed_hosts=lab.test"], "expected at least one token, found none"),
        (["tls.certificate=lab.crt"], "expected both tls.certificate= and tls.key="),
        (["tls.certificate=lab.crt", "tls.key=nothing"], "tls.key: "),
        (["tls.certificate=lab.crt", "tls.key=lab.crt"], "can be read by others"),
        (["port=99999"], "port: expected a number"),
    ],
)
def test_what_would_let_anybody_in_is_refused_in_a_line(
    folder: Service, words: list[str], line: str
) -> None:
    call = folder.call("serve", "port=0", *words)
    assert call.returncode == 2, call
    assert line in call.stderr
    assert call.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project in which nothing is served, with a certificate."""
    from tests.service.lab import certificate

    service: Any = object.__new__(Service)
    service.folder, service.url = tmp_path_factory.mktemp("folder"), ""
    (service.folder / "conf" / "study").mkdir(parents=True)
    service.declare("tiny", study("tiny"))
    certificate(service.folder)
    return service

"""The service over HTTP: what it takes, what it refuses, and that it goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import Any

import hypothesis
import pytest
import requests
from hypothesis import strategies as st

from ablation_lab.service.client import Submitted
from ablation_lab.service.state import State
from tests.cli.lab import wait_until
from tests.service.lab import Service, study

API = "/api/v1/studies"
ENDLESS = 2_000_000_000


def submitted(service: Service, title: str, **changes: Any) -> dict[str, Any]:
    answer = service.post(API, json={"tiny": study(title, **changes)})
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def state_of(service: Service, name: str) -> State:
    return State(service.get(f"{API}/{name}").json()["state"])


def comes_to(service: Service, name: str, *states: State) -> None:
    wait_until(lambda: state_of(service, name) in states, what=f"{name} is {states}")


def refused(answer: requests.Response, status: int) -> str:
    """Check that an answer is a problem of one line; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert "\n" not in problem["detail"]
    assert "Traceback" not in problem["detail"]
    detail: str = problem["detail"]
    return detail


def test_it_says_where_it_is_in_three_lines(service: Service) -> None:
    assert service.said[0].startswith(f"lab    {service.url}/ ")
    assert service.said[1] == "store  sqlite:///runs/mlflow.db\n"
    assert service.said[2].startswith("Ctrl-C ends it")


def test_a_study_is_submitted_watched_and_read(service: Service, done: Submitted) -> None:
    known, asked = done.known, done
    assert done.state is State.SUCCEEDED
    assert [change["state"] for change in known["changes"]] == [
        "queued", "planning", "running", "succeeded"
    ]  # fmt: skip
    assert (known["progress"]["completed"], known["progress"]["total"]) == (4, 4)
    rows = list(csv.DictReader(io.StringIO(asked.text("runs.csv"))))
    assert [row["status"] for row in rows] == ["finished"] * 4
    assert len(list(csv.reader(io.StringIO(asked.text("cells.csv"))))) == 3
    assert "4 to do" in asked.text("log")
    page = service.get(f"{API}/{asked.id}/report")
    assert page.url.endswith("/report/width.html")
    assert "From its file &lt;script&gt;" in page.text
    grid = service.get(f"{API}/{asked.id}/grid").json()
    assert {run["status"] for cell in grid["cells"] for run in cell["runs"]} == {"finished"}
    refused(service.get(f"{API}/{asked.id}/report/../../conf/study/width.yaml"), 404)
    refused(service.get(f"{API}/{asked.id}/report/%2e%2e/%2e%2e/%2e%2e/mlflow.db"), 404)
    assert refused(service.post(f"{API}/{asked.id}/resume"), 409).startswith("the study has")


def test_a_stream_goes_on_where_it_ended(service: Service, done: Submitted) -> None:
    def numbers(**asked: Any) -> list[int]:
        with service.get(f"{API}/{done.id}/events", stream=True, **asked) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = takewhile(lambda line: '"succeeded"' not in line, answer.iter_lines(1, True))
            return [int(line[4:]) for line in lines if line.startswith("id: ")]

    whole = numbers()
    assert numbers(headers={"Last-Event-ID": str(whole[2])}) == whole[3:]
    assert numbers(params={"after": whole[2]}) == whole[3:]
    # Those who went have gone.
    wait_until(
        lambda: "ablation_listeners 0\n" in service.get("/metrics").text, what="nobody listens"
    )


def test_two_submissions_at_once_are_one_study(service: Service) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: service.post(API, json={"tiny": study("twice")}), range(6)))
    assert sorted(answer.status_code for answer in found) == [200] * 5 + [201]
    assert len({answer.json()["id"] for answer in found}) == 1
    service.post(f"{API}/{found[0].json()['id']}/cancel")


def test_a_study_is_cancelled_paused_and_resumed_in_every_state(service: Service) -> None:
    first = submitted(service, "endless", steps=ENDLESS)["id"]
    waiting = submitted(service, "waiting")["id"]
    comes_to(service, first, State.RUNNING)
    assert state_of(service, waiting) is State.QUEUED
    assert service.post(f"{API}/{waiting}/pause").json()["state"] == "paused"
    assert service.post(f"{API}/{waiting}/pause").json()["state"] == "paused"
    assert service.post(f"{API}/{first}/pause").json()["state"] in ("pausing", "paused")
    comes_to(service, first, State.PAUSED)
    assert service.post(f"{API}/{first}/resume").status_code == 200
    comes_to(service, first, State.RUNNING)
    assert service.post(f"{API}/{first}/cancel").json()["state"] in ("cancelling", "cancelled")
    comes_to(service, first, State.CANCELLED)
    assert service.post(f"{API}/{first}/cancel").json()["state"] == "cancelled"
    assert service.post(f"{API}/{waiting}/priority", params={"value": 3}).json()["priority"] == 3
    assert service.post(f"{API}/{waiting}/resume").status_code == 200
    service.post(f"{API}/{waiting}/cancel")
    comes_to(service, waiting, State.CANCELLED)
    assert "pause" in refused(service.post(f"{API}/{first}/pause"), 409)
    assert "no study" in refused(service.post(f"{API}/nobody/cancel"), 404)


def test_it_survives_being_killed_while_a_study_runs(service: Service) -> None:
    running = submitted(service, "goes on", steps=ENDLESS)["id"]
    waiting = submitted(service, "is next")["id"]
    comes_to(service, running, State.RUNNING)
    service.kill()
    service.start()
    # The process lives, and its study is said to run because it does.
    assert state_of(service, running) is State.RUNNING
    assert state_of(service, waiting) is State.QUEUED
    process = int(service.get(f"{API}/{running}").json()["runner"].rpartition(":")[2])
    # Now it is killed: its study waits again, and is taken again.
    os.kill(process, signal.SIGKILL)
    wait_until(
        lambda: "was killed" in service.get(f"{API}/{running}").text, what="it is seen", seconds=60
    )
    service.post(f"{API}/{running}/cancel")
    comes_to(service, running, State.CANCELLED)
    comes_to(service, waiting, State.RUNNING, State.SUCCEEDED)
    service.post(f"{API}/{waiting}/cancel")


def test_mlflow_is_behind_the_same_address(service: Service, done: Submitted) -> None:
    wait_until(lambda: service.get("/readyz").ok, what="MLflow has been loaded")
    page = service.get("/mlflow/")
    assert "<title>MLflow" in page.text
    found = service.post("/mlflow/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 10})
    assert f"{done.known['study']}.replicates" in {
        each["name"] for each in found.json()["experiments"]
    }


def broken(key: str, value: Any) -> dict[str, Any]:
    return {"tiny": {**study("wrong"), key: value}}


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (broken("metrik", "success"), "study/tiny.yaml, line 30: tiny: unknown key 'metrik'"),
        (broken("metric", "sucess"), "tiny.metric: unknown value 'sucess'; nearest: 'success'"),
        (broken("title", "${oc.env:HOME}"), "reads nothing of the service's environment"),
        (broken("run", {"command": ["rm", "-r", "/"]}), "no code travels over HTTP"),
        (broken("run", {"model": {"_target_": "os.system"}}), "names no code to run"),
        ({"tiny": study("a"), "small": study("b")}, "expected one top-level key"),
        ({"../../etc/passwd": study("a")}, "expected the name of a file"),
        ({"tiny": {**study("many"), "profiles": {"smoke": {"replicates": 0}}}}, "replicates"),
        ([1, 2], "expected one top-level key"),
    ],
)
def test_what_is_wrong_is_said_as_the_command_line_does(
    service: Service, body: Any, line: str
) -> None:
    assert line in refused(service.post(API, json=body), 422)


HOSTILE = [
    (b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\n" * 1, 422),
    (b"[" * 100_000, 422),
    (b"{" * 100_000, 422),
    (b"\xff\xfe\x00", 422),
    (b"tiny: !!python/object/apply:os.system [id]", 422),
    (b"x" * (1 << 20) + b"xx", 413),
    (b"", 422),
]


@pytest.mark.parametrize(("body", "status"), HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("kind", ["application/yaml", "application/json"])
def test_hostile_bodies_are_problems(service: Service, body: bytes, status: int, kind: str) -> None:
    refused(service.post(API, data=body, headers={"Content-Type": kind}), status)


@hypothesis.settings(max_examples=10)
@hypothesis.given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_whatever_is_no_study_is_a_problem(service: Service, content: Any) -> None:
    refused(
        service.post(API, data=json.dumps(content), headers={"Content-Type": "application/json"}),
        422,
    )


def test_who_asks_for_another_host_or_from_another_site_is_refused(service: Service) -> None:
    for host in ("evil.example", "127.0.0.1", "localhost:1"):
        detail = refused(service.get("/healthz", headers={"Host": host}), 421)
        assert host in detail
    evil = {"Origin": "http://evil.example"}
    refused(service.post(f"{API}/x/cancel", headers=evil), 403)
    refused(service.post(API, data="x", headers={"Content-Type": "text/plain"}), 415)
    own = {"Origin": service.url}
    refused(service.post(f"{API}/x/cancel", headers=own), 404)


def test_the_api_describes_itself(service: Service) -> None:
    found = service.get("/api/v1/openapi.json").json()
    assert {"/api/v1/studies", "/api/v1/studies/{study}/events"} <= found["paths"].keys()
    assert "application/yaml" in found["paths"][API]["post"]["requestBody"]["content"]
    assert "Ablation Lab" in service.get("/").text
    assert 'ablation_studies{state="queued"} 0' in service.get("/metrics").text

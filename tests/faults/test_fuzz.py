"""Whatever a user's files and words say: success, or one line and status 2, soon and in bounds.

Cases are drawn by Hypothesis: study files, values, command lines, stores, tables to import. Few in
CI, ``ABLATION_CASES`` of them by ``make fuzz``; what was found once stands beside them for ever.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ablation_lab.store.write import Tracker
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName
from tests.cli.forked import forking
from tests.cli.lab import STUDY, Call

# What is drawn in all; each kind has its share of it.
CASES = int(os.environ.get("ABLATION_CASES", "200"))
LONGEST = 4000  # letters of the line
KEYS = [
    *("title", "question", "source", "metric", "baseline", "run", "factors", "profiles", "layout"),
    *("run.model", "run.model.family", "run.model.widths", "run.data", "run.data.name"),
    *("run.optimizer", "run.optimizer.learning_rate", "run.training", "run.training.steps"),
    *("factors.width", "factors.width.levels", "factors.width.levels.small", "factors.other"),
    *("profiles.smoke", "profiles.smoke.replicates", "profiles.smoke.overrides", "asks", "values"),
    *("limits", "run.limits", "run.limits.minutes", "group", "contrasts", "require", "exclude"),
]
NAMES = [
    *("study", "profile", "engine", "plugins", "reports", "now.minutes", "now.replicates"),
    *("now.where.width", "training.steps", "training.batch_size", "optimizer.learning_rate"),
    *("model.widths", "model.activation", "data.name", "data.root", "engine.workers", "+x", "~x"),
    *("engine.threads", "tracking.uri", "tracking.queue", "tracking.artifacts", "run.limits", ""),
    *("hydra.run.dir", "seed", "tracking", "now", "model", "a.b.c", "study@x", "++training.steps"),
]
VERBS = ["run", "plan", "report", "values", "rekey", "schema", "doctor", "check", "import", "gate"]
# Words with a meaning to YAML, to Hydra or to Python.
ODD = [
    *("null", "~", "NaN", ".nan", ".inf", "-.inf", "1e999", "0x10", "1_000", "on", "''", '""'),
    *("${study}", "${oc.env:HOME}", "${x:}", "${", "$", "{a: 1}", "{a:", "[", "]", "[,", "[[]]"),
    *(
        "&a [*a]",
        "*a",
        "!!python/object:os.system x",
        "!!binary x",
        "? a",
        "- a",
        "|",
        ">",
        "%",
        "@x",
    ),
    *(
        "0",
        "-1",
        "1e-400",
        "9" * 400,
        "True",
        "a=b",
        "a.b",
        "../x",
        "/",
        "\\",
        "\x00",
        "\ud7ff",
        "\u202e",
    ),
    *(
        "'",
        '"',
        "#",
        "a b",
        "\n",
        "\t",
        "é",
        "[1,2",
        "{",
        "}",
        ":",
        "::",
        "-",
        "--",
        "=",
        "+",
        "**",
    ),
]
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(ODD),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.dates(),
    st.binary(max_size=6),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(ODD), st.integers()), inner, max_size=4),
    ),
    max_leaves=12,
)
TYPED = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    st.tuples(st.sampled_from(["[", "{a:", "(", "{", "'", "${", "\\"]), st.integers(1, 3000)).map(
        lambda drawn: drawn[0] * drawn[1]
    ),
)


def share(part: float) -> Callable[[Any], Any]:
    """Let a test draw its part of the cases."""
    return settings(
        max_examples=max(1, round(CASES * part)),
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )


@pytest.fixture(scope="module")
def held_call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Return a function that makes a call which has 10 s and 1 GiB."""
    with forking(tmp_path_factory.mktemp("home"), held=True) as call:
        yield call


@pytest.fixture(scope="module")
def project(
    empty_stores: Path, make_run: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a project with a study, some finished runs of it and an empty queue."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "conf" / "study").mkdir(parents=True)
    (folder / "conf" / "study" / "small.yaml").write_bytes(
        yaml.safe_dump({"small": STUDY}).encode()
    )
    runs = shutil.copytree(empty_stores, folder / "runs")
    cells = ("width=small", "width=large")
    Tracker(f"sqlite:///{runs / 'mlflow.db'}", runs / "artifacts").write(
        [
            Record(make_run(cell=cell, replicate=r), Status.FINISHED, TrainerName.SINGLE)
            for cell in cells
            for r in range(50)
        ]
    )
    return folder


def check(call: Call, folder: Path, *arguments: str) -> None:
    """See that a call succeeds, or ends in one line with status 2; with 1 where a store broke."""
    came = call(folder, *arguments)
    broken = came.err.startswith("error: the database failed")
    assert came.status in (0, 1 if broken else 2), (arguments, came)
    if came.status:
        assert came.err.startswith("error: "), (arguments, came)
        assert came.err.count("\n") == 1, (arguments, came)
        assert len(came.err) < LONGEST, (arguments, came)
    assert "Traceback" not in came.out + came.err, (arguments, came)


def plan(call: Call, text: bytes, *words: str) -> None:
    """Plan a study whose file says this."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name, "conf", "study")
        place.mkdir(parents=True)
        (place / "tiny.yaml").write_bytes(text)
        check(call, Path(name), "plan", "profile=smoke", *(words or ("study=tiny",)))


def study(**changes: Any) -> bytes:
    return yaml.safe_dump({"tiny": STUDY | changes}, sort_keys=False, allow_unicode=True).encode()


def put(content: Any, path: list[str], value: Any) -> Any:
    """Return nested mappings with a value somewhere in them."""
    if not path:
        return value
    known = content if isinstance(content, dict) else {}
    return known | {path[0]: put(known.get(path[0]), path[1:], value)}


BOMB = "tiny:\n a0: &a0 [x, x]\n" + "".join(
    f" a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@share(0.35)
@given(key=st.sampled_from(KEYS), value=VALUES)
@example(key="factors.width.levels", value=[float("nan"), float("inf")])
def test_a_value_in_a_study_file(held_call: Call, key: str, value: Any) -> None:
    plan(held_call, yaml.dump({"tiny": put(STUDY, key.split("."), value)}).encode())


@share(0.15)
@given(
    cut=st.integers(0, 1000),
    put_in=st.one_of(st.binary(max_size=40), st.sampled_from(ODD).map(lambda odd: odd.encode())),
    over=st.integers(0, 40),
)
@example(cut=0, put_in=BOMB.encode(), over=10**6)
@example(cut=0, put_in=study().decode().encode("utf-16"), over=10**6)
@example(cut=0, put_in=b"[" * 100_000, over=10**6)
@example(cut=0, put_in=b"{a: " * 100_000, over=10**6)
@example(cut=6, put_in=b"  a: &a [*a]\n", over=0)
def test_a_damaged_study_file(held_call: Call, cut: int, put_in: bytes, over: int) -> None:
    text = study()
    plan(held_call, text[:cut] + put_in + text[cut + over :])


@share(0.25)
@given(name=st.sampled_from(NAMES), value=TYPED)
@example(name="study", value="0")
@example(name="plugins", value="NaN")
@example(name="training.steps", value="[" * 100_000)
def test_a_setting_that_is_typed(held_call: Call, name: str, value: str) -> None:
    if "\x00" not in value:  # no process can be given it
        plan(held_call, study(), *(["study=tiny"] if name != "study" else []), f"{name}={value}")


@share(0.1)
@given(verb=st.one_of(st.sampled_from(VERBS), TYPED), words=st.lists(TYPED, max_size=3))
def test_a_command_line(held_call: Call, verb: str, words: list[str]) -> None:
    given = [word for word in (verb, *words) if "\x00" not in word]
    with tempfile.TemporaryDirectory() as name:
        check(held_call, Path(name), *given)


@share(0.15)
@given(
    file=st.sampled_from(["mlflow.db", "queue.db"]),
    words=st.sampled_from([("plan",), ("run", "now.minutes=0"), ("report",), ("values",)]),
    place=st.floats(0, 1),
    garble=st.one_of(st.none(), st.binary(min_size=1, max_size=5000)),
)
@example(file="mlflow.db", words=("report",), place=0.0, garble=b"SQLite format 3\x00")
def test_a_damaged_store(held_call: Call, project: Path, **drawn: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = shutil.copytree(project, name, dirs_exist_ok=True)
        damaged = Path(folder, "runs", drawn["file"])
        content, garble = damaged.read_bytes(), drawn["garble"]
        at = int(drawn["place"] * len(content))
        rest = b"" if garble is None else garble + content[at + len(garble) :]
        damaged.write_bytes(content[:at] + rest)
        verb, *others = drawn["words"]
        check(held_call, Path(folder), verb, "study=small", "profile=smoke", *others)

"""Bad input, as a user meets it: status 2, one line that says what to do, nothing started."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.lab import (
    ONE_WORKER,
    ROOT,
    STUDY,
    Call,
    Lab,
    Outcome,
    clean_environment,
    ended,
    refused,
    store_of_an_older_schema,
    study_with,
)

BASE = ("run", "study=tiny", "profile=smoke")


def write_study(folder: Path, text: str) -> None:
    (folder / "conf" / "study").mkdir(parents=True)
    (folder / "conf" / "study" / "tiny.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        (
            "questoin",
            "x",
            "study/tiny.yaml, line 30: tiny: unknown key 'questoin'; nearest: 'question'",
        ),
        ("baseline", {"width": "smal"}, "tiny.baseline.width: unknown level 'smal'; nearest: 'sm"),
        ("metric", "sucess", "tiny.metric: unknown value 'sucess'; nearest: 'success'"),
        ("profiles.smoke.replicates", 0, "tiny.profiles.smoke.replicates: expected at least 1, f"),
        (
            "run.optimizer.learning_rate",
            -0.1,
            "optimizer.learning_rate: expected a finite number > 0, found -0.1",
        ),
        ("run.model.keep_prob", 0, "model.keep_prob: expected a probability to keep in (0, 1]"),
        ("run.model.keep_prob", 1.2, "probability to keep in (0, 1], found 1.2"),
        ("run.model.activation", "rleu", "model.activation: unknown name 'rleu'; nearest: 'relu'"),
        ("run.model.init", "xavier_unifrom", "init: unknown name 'xavier_unifrom'; nearest: 'xav"),
        ("run.optimizer.name", "adamm", "optimizer.name: unknown name 'adamm'; nearest: 'adam'"),
        ("run.data.name", "mnsit", "data.name: unknown name 'mnsit'; nearest: 'mnist'; known: "),
        ("run.model.family", "mpl", "model.family: unknown name 'mpl'; nearest: 'mlp'; known: "),
        ("run.training.epochs", 3, "expected either 'epochs' or 'steps', found epochs=3"),
    ],
)
def test_study_file_is_refused(
    forked_call: Call, tmp_path: Path, key: str, value: object, line: str
) -> None:
    write_study(tmp_path, yaml.safe_dump({"tiny": study_with(key, value)}, sort_keys=False))
    error = refused(forked_call(tmp_path, *BASE), tmp_path)
    assert "study/tiny.yaml" in error
    assert line in error


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tiny:\n  title: [a\n", 'study/tiny.yaml", line 3, column 1'),
        ("tinny:\n  title: a\n", "expected one top-level key, 'tiny', as the file is called; fou"),
        (
            "",
            "study/tiny.yaml: expected one top-level key, 'tiny', as the file is called; found ",
        ),
        ("tiny:\n  title: ${nothing}\n", "study.tiny.title: Interpolation key 'nothing' not found"),
    ],
)
def test_file_that_is_no_study_is_refused(
    forked_call: Call, tmp_path: Path, text: str, line: str
) -> None:
    write_study(tmp_path, text)
    assert line in refused(forked_call(tmp_path, *BASE), tmp_path)


def test_a_broken_file_beside_the_study_is_named(forked_call: Call, tmp_path: Path) -> None:
    write_study(tmp_path, yaml.safe_dump({"tiny": STUDY}, sort_keys=False))
    (tmp_path / "conf" / "study" / "other.yaml").write_text("other: [a\n", encoding="utf-8")
    assert 'study/other.yaml", line 2' in refused(forked_call(tmp_path, *BASE), tmp_path)


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("study=tinny", "study: unknown name 'tinny'; nearest: 'tiny'; known: "),
        ("study=[tiny,tinny]", "study: unknown name 'tinny'; nearest: "),
        ("study=null", "study: expected one name or more, found 'null'; known: "),
        ("study=[]", "study: expected one name or more, found '[]'; known: "),
        ("profile=[smoke,quick]", "config.yaml: profile: expected str, found ['smoke', 'quick']"),
        ("engine=null", "engine: expected one name, found 'null'; known: local"),
        (
            "model=mlp",
            "'model=mlp': expected one setting, such as training.epochs=3; each",
        ),
        ("now.minutes=-1", "now.minutes: expected at least 0, found -1"),
        ("plugins=broken", "plugins: expected a list, [broken], found 'broken'"),
        ("profile=smokey", "study/tiny.yaml: no profile 'smokey'; nearest: 'smoke'; known: smoke"),
        ("profile=paper", "study/tiny.yaml: no profile 'paper'; known: smoke"),
        ("engine=lokal", "engine: unknown name 'lokal'; nearest: 'local'"),
        ("--project=nowhere", "--project: no folder 'nowhere'"),
        (
            "--projekt=here",
            "command line: unrecognized arguments: --projekt=here; see ablation",
        ),
        ("foo=1", "command line: unknown key 'foo'; known: "),
        ("+foo=1", "command line: unknown key 'foo'; known: "),
        ("now.replicate=1", "unknown key 'now.replicate'; nearest: 'replicates'"),
        ("now.where.width=smal", "now.where.width: unknown level 'smal'; nearest: 'small'"),
        ("now.where.with=small", "now.where: unknown factor 'with'; nearest: 'width'"),
        ("adopt=true", "unknown key 'adopt'; `ablation rekey` does so now"),
        ("engine.workers=0", "engine.workers: expected at least 1, found 0"),
        ("engine.gpus=99", "engine.gpus: expected at most the "),
        ("smoke", "'smoke': expected key=value, such as profile=quick"),
        ("now.where={width", "expected key=value"),
        ("plugins=[my_pakage]", "plugins: no package 'my_pakage'; it is looked for in "),
        ("plugins=[broken]", "'broken' cannot be imported: ZeroDivisionError: division by zero ("),
        ("tracking.uri=runs", "tracking.uri: expected an address such as sqlite:///runs/mlflow.db"),
        (
            "tracking.uri=sqlite:///broken.py/mlflow.db",
            "store broken.py/mlflow.db: cannot be created: broken.py is no folder that can be w",
        ),
        ("tracking.uri=sqlite:///broken.py", "broken.py: cannot be read: file is not a database"),
        (
            "tracking.uri=sqlite:///old.db",
            "store sqlite:///old.db: its schema is not the one of ",
        ),
        (
            "tracking.queue=runs",
            "tracking.queue: expected an address such as sqlite:///runs/queu",
        ),
        (
            "tracking.queue=sqlite:///broken.py/queue.db",
            "queue broken.py/queue.db: cannot be created: broken.py is no folder that can be wr",
        ),
        ("tracking.artifacts=broken.py", "artifacts broken.py: cannot be written: broken.py is n"),
        ("reports=broken.py/reports", "reports broken.py/reports: cannot be written: broken.py is"),
    ],
)
def test_argument_is_refused(forked_call: Call, tmp_path: Path, argument: str, line: str) -> None:
    write_study(tmp_path, yaml.safe_dump({"tiny": STUDY}, sort_keys=False))
    (tmp_path / "broken.py").write_text("1 / 0\n")
    store_of_an_older_schema(tmp_path / "old.db")
    given = argument.partition("=")[0]
    others = [base for base in BASE if not base.startswith(f"{given}=")]
    assert line in refused(forked_call(tmp_path, *others, argument), tmp_path)


def test_corrupt_data_file_is_refused(forked_call: Call, tmp_path: Path) -> None:
    study = study_with("run.data.name", "mnist") | {"metric": "test_accuracy"}
    write_study(tmp_path, yaml.safe_dump({"tiny": study}, sort_keys=False))
    file = tmp_path / "data" / "mnist" / "train-images-idx3-ubyte.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(99))
    line = refused(forked_call(tmp_path, *BASE, "data.root=data"), tmp_path)
    assert "mnist: wrong file data/mnist/train-images-idx3-ubyte.gz: expected sha256 440f" in line
    assert line.endswith("replace it, or remove it to have it downloaded\n")


def test_absent_data_is_refused_where_there_is_no_network(
    forked_call: Call, tmp_path: Path
) -> None:
    study = study_with("run.data.name", "mnist") | {"metric": "test_accuracy"}
    write_study(tmp_path, yaml.safe_dump({"tiny": study}, sort_keys=False))
    (tmp_path / "data").mkdir()
    line = refused(forked_call(tmp_path, *BASE, "data.root=data"), tmp_path)
    assert "mnist: file mnist/train-images-idx3-ubyte.gz or " in line
    assert line.endswith("set ABLATION_DATA or data.root to the folder that has it\n")
    assert not list((tmp_path / "data").iterdir())


def test_dry_run_creates_no_store(forked_call: Call, tmp_path: Path) -> None:
    write_study(tmp_path, yaml.safe_dump({"tiny": STUDY}, sort_keys=False))
    outcome = forked_call(tmp_path, "plan", *BASE[1:], "now.where.width=small")
    assert outcome.status == 0, outcome.err
    assert outcome.out.splitlines() == [
        "1 study, 2 cells, 4 runs: 0 done, 2 to do (under a minute on 2 workers), 2 left for later",
        "tiny: 2 cells, 4 runs, 0 done, 2 to do: under a minute on 2 workers, up to 0.4 GB in a "
        "worker",
        "  1 × stacked, 2 runs each: small, full batch, plain descent: "
        "up to 1024 in one fused step",
        "  a worker that takes 60 min for a stack is ended, its stack tried once more (run.limits)",
        "  1 comparison of success with width=small, 2 replicates: t tests, assumes normal "
        "spread, which show a difference of 14.1 standard deviations of a run; tests without that "
        "need n ≥ 6",
    ]
    assert not (tmp_path / "runs").exists()


def tamper(path: Path) -> None:
    with sqlite3.connect(path) as store:
        store.execute("UPDATE alembic_version SET version_num = 'bd07f7e963c5'")


@pytest.mark.slow
def test_store_of_an_older_schema_is_refused(lab: Lab) -> None:
    tamper(lab.folder / "runs" / "mlflow.db")
    lab.declare("tiny", STUDY)
    outcome = lab.call("study=tiny", ONE_WORKER)
    assert outcome.status == 2, outcome
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: store sqlite:///runs/mlflow.db: its schema is not the one")
    assert "mlflow db upgrade sqlite:///runs/mlflow.db" in line
    assert lab.runs("tiny") == []


def test_a_reader_that_goes_away_stops_no_call(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "ablation_lab", "plan", "--project", str(ROOT)]
    call = subprocess.run(
        command,
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (call.returncode, call.stderr) == (0, b"")


def test_ctrl_c_during_the_imports_is_one_line(tmp_path: Path) -> None:
    # The stand-in is imported instead of Hydra, and never comes to its end.
    (tmp_path / "hydra.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
    )
    call = subprocess.Popen(
        [sys.executable, "-m", "ablation_lab", "plan"],
        cwd=tmp_path,
        env=clean_environment(tmp_path) | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert call.stdout is not None
    assert call.stdout.readline() == "importing\n"
    call.send_signal(signal.SIGINT)
    assert ended(call) == Outcome(130, "", "stopped; nothing was started\n")

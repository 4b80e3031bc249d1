"""All reference values: a row for each, and the summary that is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ablation_lab.errors import StoreError
from ablation_lab.report.reference_values import answers, value_table
from ablation_lab.report.study import Study
from ablation_lab.report.values import summarise, summary
from ablation_lab.study.reading import DeclarationError
from ablation_lab.study.references import read_stored, references_text
from tests.report.golden_store import reference


def entry(claim_id: str, **changes: Any) -> dict[str, Any]:
    return {"claim_id": claim_id, "kind": "dist", "values": [0.9], **changes}


LEDGER = [
    entry("a-open", not_attempted="the data is lost"),
    entry("b-elsewhere", study="never_run", cell={"x": "1"}),
    entry("c-lost", study="ladder", cell={"system": "cnn"}),
    entry("d-out", study="xor_depth", cell={"depth": "4", "activation": "sigmoid"}),
    entry("e-data", study="ladder", cell={"system": "mlp"}, data="mnist"),
    entry("s2-keep", study="keep_prob", cell={"keep_prob": "1.0"}),
]


def test_every_reference_value_is_a_row_with_its_reason(studies: dict[str, Study]) -> None:
    values = [reference(**item) for item in LEDGER]
    table = value_table(answers(studies.values(), values)).set_index("id")
    assert list(table.index) == sorted({item["claim_id"] for item in LEDGER} | {
        "s1-dropout", "s1-mlp", "s1-softmax", "s1-xavier"
    })  # fmt: skip
    assert table.loc["c-lost", "verdict"] == "cell lost"
    for name, words in {
        "a-open": "the data is lost",
        "b-elsewhere": "study never_run was not run under this profile",
        "d-out": "excluded: never trains",
        "e-data": "the value is about mnist",
    }.items():
        assert table.loc[name, "verdict"] == "not attempted"
        assert words in table.loc[name, "note"]
    assert table.loc["s2-keep", "verdict"] == "consistent"


def keep(uri: str, text: str) -> None:
    """Write reference values as a runner does."""
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name("claims")
    experiment = found.experiment_id if found else client.create_experiment("claims")
    run = client.create_run(experiment, tags={"ablation.kind": "ledger"})
    client.log_text(run.info.run_id, text, "claims.json")


def test_the_summary_fails_for_a_lost_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    MlflowClient(tracking_uri=uri).create_experiment("nothing")
    with pytest.raises(StoreError, match="holds no reference values"):
        summarise(uri, "quick", Path("conf"))
    keep(uri, references_text([reference(**LEDGER[0])]))
    assert summarise(uri, "quick", Path("conf")) == 0
    said = capsys.readouterr().out
    assert "1 reference values, of which 0 print numbers, 0 in all\n" in said
    assert "  dist         1 not attempted" in said


def test_a_claim_that_is_bound_to_nothing_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    keep(uri, references_text([reference(**entry("z-unbound"))]))
    assert summarise(uri, "quick", Path("conf")) == 1
    assert "not bound: z-unbound" in capsys.readouterr().err


def test_the_summary_counts_and_lists_what_is_off(studies: dict[str, Study]) -> None:
    text = summary(answers(studies.values(), [reference(**item) for item in LEDGER]))
    assert "10 reference values, " in text
    assert "Of 3 printed runs that could be judged, 0.2 may differ by chance" in text
    assert "1 cell lost" in text
    assert "differs: s1-mlp (ladder): printed 0.5;" in text


def test_broken_reference_values_are_one_line() -> None:
    for text in ("[{}]", "no json", '[{"claim_id": "a", "kind": "dist", "values": ["x"]}]'):
        with pytest.raises(DeclarationError, match=r"here: claims\.json cannot be read"):
            read_stored(text, "here")

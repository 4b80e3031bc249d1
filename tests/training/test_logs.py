"""What a script logs with a library of its own is what its run has, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.scripts import Project

LOGS = {
    "mlflow": """
        import mlflow
        with mlflow.start_run():
            for step in range(3):
                mlflow.log_metric("acc", step / 4, step=step)
            mlflow.log_metric("final loss", 0.5)
            mlflow.log_text("kept", "notes.txt")
    """,
    "tensorboard": """
        from tensorboardX import SummaryWriter
        with SummaryWriter(sys.argv[2]) as writer:
            writer.add_histogram("weights", [1, 2, 3], 0)
            for step in range(3):
                writer.add_scalar("acc", step / 4, step)
            writer.add_scalar("final loss", 0.5, 0)
    """,
    "lightning": """
        from pytorch_lightning.loggers import CSVLogger
        logger = CSVLogger(sys.argv[2])
        for step in range(3):
            logger.log_metrics({"acc": step / 4, "epoch": 0}, step=step)
        logger.log_metrics({"final loss": 0.5}, step=0)
        logger.save()
    """,
}


@pytest.mark.parametrize("library", LOGS)
def test_what_a_library_logs_is_taken_over(tmp_path: Path, library: str) -> None:
    project = Project(tmp_path)
    project.script(LOGS[library])
    record = project.record()
    assert record.error == ""
    assert record.curves["acc"] == ((0, 0.0), (1, 0.25), (2, 0.5))
    found = {**{name: points[-1][1] for name, points in record.curves.items()}, **record.metrics}
    names = {name.replace("_", " ") for name in found}
    assert names == {"acc", "final loss"}
    assert found.get("final loss", found.get("final_loss")) == 0.5
    kept = [path.relative_to(record.files) for path in Path(record.files).rglob("*")]
    assert (Path("out/notes.txt") in kept) == (library == "mlflow")
    assert Path("mlruns") not in kept


@pytest.mark.parametrize("end", [b"cut", b"\xff" * 20])
def test_a_file_for_the_lab_counts_before_what_is_logged(tmp_path: Path, end: bytes) -> None:
    project = Project(tmp_path)
    project.script(
        f"""
        from tensorboardX import SummaryWriter
        with SummaryWriter(sys.argv[2]) as writer:
            writer.add_scalar("acc", 0.25, 0)
            writer.add_scalar("loss", 3, 7)
        with next(Path(sys.argv[2]).glob("*tfevents*")).open("ab") as file:
            file.write({end!r})
        Path(sys.argv[2], "metrics.json").write_text('{{"acc": 0.75}}')
        """
    )
    record = project.record()
    assert record.metrics == {"acc": 0.75}
    assert record.curves == {"loss": ((7, 3.0),)}

"""The MLflow UI of the store, with links for every study."""

from __future__ import annotations

import os
import sys

from ablation_lab.errors import redact
from ablation_lab.store.pages import Server
from ablation_lab.store.publish import Publisher


def links(publisher: Publisher, base: str) -> list[str]:
    """Return the lines to print: for each study its table, its charts and its compare page."""
    lines, server = [], Server(base)
    for study, profile, experiment in publisher.views():
        shown = server.study(experiment, publisher.cell_runs(study, profile), profile)
        lines += [f"{study} ({profile})", *(f"  {each.text:<8} {each.address}" for each in shown)]
    return lines


def serve(store: str, port: int) -> int:
    """Print the links and become the server; Ctrl-C ends it.

    Errors: ``StoreError``.
    """
    base = f"http://127.0.0.1:{port}"
    lines = links(Publisher(store), base)
    print("\n".join(lines or ["the store is empty; run `ablation run` first"]))  # noqa: T201
    print(f"serving {redact(store)} at {base} (Ctrl-C ends it)", flush=True)  # noqa: T201
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    # By the environment, where other users of the machine do not see a password.
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store
    # The UI needs none of the job runners that the server would start.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.execv(sys.executable, command)

"""MLflow's own server as an application below one path of another server.

Comes in: the address of the store. Goes out: an ASGI application, which takes seconds to import.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from ablation_lab.store.connect import address


def mlflow_application(store: str, prefix: str) -> Any:
    """Return MLflow's application, whose addresses begin with ``prefix``.

    MLflow reads its settings from the environment when it is imported; the address of the store may
    have a password, which other users of the machine do not see there.
    """
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": address(store),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "./mlartifacts",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_STATIC_PREFIX": prefix,
        # The UI needs none of the job runners that the server would start.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Whoever serves it checks hosts and origins, and knows which are meant.
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server.fastapi_app import app

    return app

"""What scope a request takes. Pure.

Comes in: method and path. Goes out: a scope, or None for what is anybody's. MLflow's requests are
told apart here too: some of those that only read come by POST, and much that its server can do,
such as to start jobs, agents and gateways, no lab needs: nobody is served it.
"""

from __future__ import annotations

import re

from ablation_lab.service.users import Scope

SAFE = ("GET", "HEAD", "OPTIONS")
MLFLOW = "/mlflow"
OPEN = ("/healthz", "/readyz", "/login", "/login.js", "/live/live.css")
OF_MLFLOW = re.compile(r"/(?:ajax-)?api/\d\.\d/?(mlflow(?:-artifacts)?/.+)")
# The first rule that fits a request that is not safe by its method.
RULES: tuple[tuple[Scope, re.Pattern[str]], ...] = (
    (
        Scope.READ,
        re.compile(
            r"POST mlflow/((experiments|runs|logged-models|datasets|issues|traces)/search|"
            r"experiments/search-datasets|registered-models/get-latest-versions|"
            r"artifacts/presigned-download-url|"
            r"traces/(batchGetInfos|metrics|calculate-filter-correlation))"
        ),
    ),
    (
        Scope.SUBMIT,  # what tracking writes; a run that is deleted can be restored
        re.compile(
            r"POST mlflow/(experiments/(create|update|(set|delete)-experiment-tag)|"
            r"runs/[a-z-]+(?<!promptlab-run)|upload-artifact|artifacts/presigned-upload-url)|"
            r"(POST|PATCH|DELETE) mlflow/(logged-models|traces)(/.+)?|"
            r"PUT mlflow-artifacts/artifacts/.+|POST mlflow-artifacts/mpu/.+"
        ),
    ),
    (
        Scope.ADMIN,
        re.compile(
            r"POST mlflow/experiments/(delete|restore)|DELETE mlflow-artifacts/artifacts/.+|"
            r"\w+ mlflow/(registered-models|model-versions)/.+"
        ),
    ),
)
NOT_SERVED = re.compile(r"/gateway/.*|.*/(assistant|gateway-proxy)\b.*")


def needed(method: str, path: str) -> Scope | None:
    """Return what a request takes, None for nothing.

    Errors: ``PermissionError`` for what nobody is served.
    """
    if path in OPEN:
        return None
    if path == MLFLOW or path.startswith(f"{MLFLOW}/"):
        return _of_mlflow(method, path.removeprefix(MLFLOW))
    if path.startswith("/api/v1/audit"):
        return Scope.ADMIN
    return Scope.READ if method in SAFE else Scope.SUBMIT


def _of_mlflow(method: str, path: str) -> Scope:
    found = OF_MLFLOW.fullmatch(path)
    if method in SAFE:
        if not NOT_SERVED.fullmatch(path):
            return Scope.READ
    elif path == "/graphql":  # of its mutations each one only searches
        return Scope.READ
    elif found:
        for scope, rule in RULES:
            if rule.fullmatch(f"{method} {found[1]}"):
                return scope
    raise PermissionError(f"{method} {MLFLOW}{path[:200]}: a part of MLflow that is not served")

"""The ledger of all printed claims, as the store keeps it beside the studies.

In: the address of a store. Out: every claim, also those that no study of a profile answers.
"""

from __future__ import annotations

from ablation_lab.store.artifacts import artifact_text
from ablation_lab.store.frame import open_store, readable, search_runs
from ablation_lab.study.printed import PrintedClaim, read_ledger

EXPERIMENT = "claims"


def load_ledger(uri: str) -> tuple[PrintedClaim, ...]:
    """Every printed claim that the store knows; none in a store that was never given any.

    Raises StoreError where the store cannot be read, LedgerError where its ledger cannot.
    """
    with readable(uri):
        client = open_store(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return ()
        wanted = "tags.`ablation.kind` = 'ledger'"
        runs = list(search_runs(client, experiment.experiment_id, wanted))
        # Every driver writes to the first one.
        run = min(runs, key=lambda run: run.info.start_time)
        text = artifact_text(client, run.info.run_id, "claims.json")
    return read_ledger(text, f"experiment {EXPERIMENT}")

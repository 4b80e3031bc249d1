"""What a store declares: the grids of its studies, and the reference values beside them.

In: the address of a store and a profile. Out: declarations, and every reference value, also those
that no study of a profile answers.
"""

from __future__ import annotations

from ablation_lab.store.client import Store, readable
from ablation_lab.store.tags import REFERENCES, REPLICATES, File, Kind, Tag, having
from ablation_lab.study.declaration import Declaration, parse
from ablation_lab.study.reading import DeclarationError
from ablation_lab.study.references import ReferenceValue, read_stored


def declarations(uri: str, profile: str) -> list[Declaration]:
    """Every study that the store declares for a profile, sorted by name.

    Raises DeclarationError where report runs exist and none carries a readable declaration.
    """
    store = Store(uri)
    names = sorted(str(experiment.name) for experiment in store.client.search_experiments())
    found = {n: declaration_of(store, n, profile) for n in names if not n.endswith(REPLICATES)}
    return [parse(*declared) for declared in found.values() if declared]


def declaration_of(store: Store, study: str, profile: str) -> tuple[str, str] | None:
    """The newest declaration of a study as text, and where it lies; None where it has none."""
    wanted = having({Tag.KIND: Kind.REPORT, Tag.PROFILE: profile})
    runs = list(store.search(study, wanted))
    for run in sorted(runs, key=lambda r: (-r.info.start_time, r.info.run_id)):
        if store.has(run.info.run_id, File.DECLARATION):
            text = store.text(run.info.run_id, File.DECLARATION)
            return text, f"experiment {study}, run {run.info.run_id}"
    if not runs:
        return None
    raise DeclarationError(
        f"experiment {study}: {len(runs)} report runs, none with {File.DECLARATION}; "
        "run the study again"
    )


def load_references(uri: str) -> tuple[ReferenceValue, ...]:
    """Every reference value that the store knows; none in a store that was never given any.

    Raises StoreError where the store cannot be read, DeclarationError where its values cannot.
    """
    with readable(uri):
        store = Store(uri)
        # Every runner writes to the first one.
        run = next(store.search(REFERENCES, having({Tag.KIND: Kind.REFERENCES})), None)
        if run is None:
            return ()
        text = store.text(run.info.run_id, File.REFERENCES)
    return read_stored(text, f"experiment {REFERENCES}")

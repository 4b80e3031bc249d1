"""What a store declares: the grids of its studies, and the reference values beside them.

In: the address of a store and a profile. Out: declarations, protocols, and every reference value,
also those that no study of a profile answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.client import Store, readable
from ablation_lab.store.tags import REFERENCES, REPLICATES, File, Kind, Tag, having
from ablation_lab.study.declaration import Declaration, parse
from ablation_lab.study.protocol import Entry, Protocol, protocol_of
from ablation_lab.study.reading import DeclarationError
from ablation_lab.study.references import ReferenceValue, read_stored

if TYPE_CHECKING:
    from mlflow.entities import Run


def declarations(uri: str, profile: str) -> list[Declaration]:
    """Every study that the store declares for a profile, sorted by name.

    Raises DeclarationError where report runs exist and none carries a readable declaration.
    """
    store = Store(uri)
    found = {name: declaration_of(store, name, profile) for name in _studies(store)}
    return [parse(*declared) for declared in found.values() if declared]


def declaration_of(store: Store, study: str, profile: str) -> tuple[str, str] | None:
    """The newest declaration of a study as text, and where it lies; None where it has none."""
    runs = _report_runs(store, study, profile)
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


def protocols(uri: str, profile: str) -> dict[str, Protocol]:
    """What every study of a profile promised, and when it changed that, by its name.

    A study that was never declared for a call that trains has no protocol.
    """
    found = {name: load_protocol(uri, name, profile) for name in _studies(Store(uri))}
    return {name: protocol for name, protocol in found.items() if protocol}


def load_protocol(uri: str, study: str, profile: str) -> Protocol | None:
    """What one study promised; None where nothing is sealed."""
    store = Store(uri)
    entries = entries_of(store, [run.info.run_id for run in _report_runs(store, study, profile)])
    intact = all(name == entry.digest for name, entry in entries.items())
    return protocol_of(entries.values(), intact=intact)


def entries_of(store: Store, run_ids: Iterable[str]) -> dict[str, Entry]:
    """The entries of a protocol that report runs keep, by the names under which they were written.

    One that cannot be read was not finished by whoever wrote it.
    """
    entries = {}
    for run_id in run_ids:
        for file in store.client.list_artifacts(run_id, File.PROTOCOL):
            try:
                entry = Entry.model_validate_json(store.text(run_id, file.path))
            except ValidationError:
                continue
            entries[PurePosixPath(file.path).stem] = entry
    return entries


def _studies(store: Store) -> list[str]:
    names = (str(experiment.name) for experiment in store.client.search_experiments())
    return sorted(name for name in names if not name.endswith(REPLICATES))


def _report_runs(store: Store, study: str, profile: str) -> list[Run]:
    return list(store.search(study, having({Tag.KIND: Kind.REPORT, Tag.PROFILE: profile})))


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


def validate_own(store: Store, declaration: Declaration) -> None:
    """Refuse a store in which another project keeps another study of the same name.

    It is another one if title, question, source and every cell are: a study that is rewritten keeps
    one of them, and the store's protocol says what was changed. A declaration that is lost or
    damaged says nothing; today's is kept in its place.
    Errors: ``StoreError``.
    """
    try:
        known = declaration_of(store, declaration.study, declaration.profile)
        before = parse(*known) if known else None
    except DeclarationError:
        return
    if before is None or any(
        getattr(before, name) == getattr(declaration, name)
        for name in ("title", "question", "source")
    ):
        return
    if {cell.cell for cell in before.cells} & {cell.cell for cell in declaration.cells}:
        return
    raise StoreError(
        f"store {redact(store.uri)}: its study {declaration.study!r} is that of another project: "
        f"{before.title!r}, and not {declaration.title!r}; set tracking.uri to a store of this "
        "project, or give your study another name"
    )

"""Where submitted studies are kept: the tables of the service, beside the queue of cells.

Comes in: the address of the queue. Goes out: an open database that has the tables.
"""

from __future__ import annotations

# Whole before a thread asks for anything: another thread imports MLflow, and this with it.
import sqlalchemy.orm  # noqa: F401
from sqlalchemy import (
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    inspect,
)
from sqlalchemy.schema import CreateColumn

from ablation_lab.store.connect import (
    address_of,
    alone,
    create_whole,
    database,
    file_of,
    use_write_ahead_log,
)

META = MetaData()
STUDIES = Table(
    "ablation_studies",
    META,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), unique=True, nullable=False),
    Column("study", String(250), nullable=False),
    Column("profile", String(250), nullable=False),
    Column("text", Text, nullable=False),
    Column("user", String(250), nullable=False),
    Column("submitted", Float, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("state", String(16), nullable=False, index=True),
    Column("runner", String(250), nullable=False, default=""),  # identity, '' for nobody
    Column("host", String(250), nullable=False, default=""),
    Column("fence", Integer, nullable=False, default=0),
    Column("beat", Integer, nullable=False, default=0),
    Column("deaths", Integer, nullable=False, default=0),
    # When a worker took it last, in seconds since 1970: whose turn it is follows from it.
    Column("taken", Float, nullable=False, default=0, server_default="0"),
)
EVENTS = Table(
    "ablation_events",
    META,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("study", String(32), nullable=False, index=True),
    Column("time", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("content", Text, nullable=False),
    sqlite_autoincrement=True,
)


def service_uri(queue_uri: str) -> str:
    """Return where submitted studies are kept: a file beside that of the queue, or its database.

    A file of its own, so that neither waits for what the other writes.
    """
    path = file_of(queue_uri)
    return queue_uri if path is None else address_of(path.absolute().with_name("service.db"))


def opened(uri: str) -> Engine:
    """Open the database, which is created where it does not exist, and has the tables.

    Errors: ``StoreError``.
    """
    use_write_ahead_log()
    if path := file_of(uri):
        create_whole(path, _create)
    engine = database(uri, "queue", "tracking.queue")
    with alone(uri, "service"):
        META.create_all(engine)
        _upgrade(engine)
    return engine


def _upgrade(engine: Engine) -> None:
    """Add the columns that a database of an earlier version lacks; each has a value for its rows.

    Nothing is taken out or changed, so that a service of the earlier version goes on beside it.
    """
    for table in META.sorted_tables:
        known = {column["name"] for column in inspect(engine).get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                with engine.begin() as connection:
                    made = CreateColumn(column).compile(dialect=engine.dialect)
                    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {made}")


def _create(uri: str) -> None:
    engine = create_engine(uri)
    META.create_all(engine)
    engine.dispose()

"""The ledger's schema: brought to the newest version by Alembic, from inside the program.

No `alembic.ini` is needed: the scripts travel with the package. Two processes that start at
once may both call `migrate`; one does the work while the other waits for it.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from sinks.database import open_engine, transaction

SCRIPTS = Path(__file__).parent / "migrations"

_ADVISORY_LOCK = 0x59_69_77_61_6E_67  # "Yiwang"
_ONE_AT_A_TIME = Lock()  # Alembic keeps its context in globals: one migration a process


class SchemaError(Exception):
    """The ledger's schema and this release do not fit together."""


def migrate(target: Engine | str, *, revision: str = "head") -> str:
    """Bring a ledger to a schema version in one transaction; nothing happens if it is there already.

    Args:
        target: an engine of `sinks.database.open_engine`, or the URL to open one.
        revision: the version to reach; an older one is reached by downgrades.

    Returns:
        The version the ledger now has.

    Raises:
        SchemaError: the ledger was written by a newer release.
        LedgerUnavailableError: the database does not answer or cannot write.
    """
    engine = open_engine(target) if isinstance(target, str) else target
    try:
        with _ONE_AT_A_TIME, transaction(engine) as connection:
            _wait_for_turn(connection)
            found = _version(connection)
            _refuse_unknown(found)
            config = _config(connection)
            wanted = newest() if revision == "head" else revision
            if wanted != (found or "base"):
                move = command.upgrade if _is_newer(wanted, found) else command.downgrade
                move(config, wanted)
            return _version(connection) or "base"
    finally:
        if isinstance(target, str):
            engine.dispose()


def schema_version(engine: Engine) -> str | None:
    """Return the version of a ledger's schema; None when it has none.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    with transaction(engine) as connection:
        return _version(connection)


def check_schema(engine: Engine) -> None:
    """Make sure that this release can work with a ledger as it is.

    Raises:
        SchemaError: it has no schema, or an older or newer one.
        LedgerUnavailableError: the database does not answer.
    """
    found = schema_version(engine)
    _refuse_unknown(found)
    if found is None:
        raise SchemaError("The ledger is empty; start `yiwang up` or a casework worker once to lay its tables.")
    if found != newest():
        raise SchemaError(
            f"The ledger has schema {found} and this release needs {newest()}; "
            "start `yiwang up` or a casework worker once to bring it forward."
        )


def newest() -> str:
    """Return the schema version of this release."""
    head = _scripts().get_current_head()
    if head is None:
        raise SchemaError(f"No migration is found in {SCRIPTS}; install the package again.")
    return head


def _refuse_unknown(found: str | None) -> None:
    """Refuse a ledger from the future: its migrations are not here.

    Raises:
        SchemaError: the version is none of this release.
    """
    if found is not None and found not in {script.revision for script in _scripts().walk_revisions()}:
        raise SchemaError(
            f"The ledger has schema {found}, which this release (schema {newest()}) does not know; "
            "install the release that wrote it, or a newer one."
        )


def _is_newer(one: str, other: str | None) -> bool:
    """Tell whether a version comes after another; any comes after none."""
    return one in {script.revision for script in _scripts().iterate_revisions("head", other or "base")}


def _wait_for_turn(connection: Connection) -> None:
    """Let one process migrate at a time. SQLite's `BEGIN IMMEDIATE` has done it already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(SCRIPTS))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config

"""Alembic's way in. The program calls it through `sinks.schema.migrate` with an open transaction.

A developer who changed `sinks.tables` writes the next version with
`alembic -x url=sqlite:///FILE revision --autogenerate -m "..."` against a ledger at the newest version.
"""

from alembic import context
from sqlalchemy import Connection

from sinks.database import open_engine
from sinks.tables import METADATA


def _run(connection: Connection) -> None:
    # SQLite cannot alter most of a table in place: batch mode copies it, on both databases alike.
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


_given = context.config.attributes.get("connection")
if _given is not None:
    _run(_given)
else:
    _engine = open_engine(context.get_x_argument(as_dictionary=True)["url"])
    with _engine.begin() as _connection:
        _run(_connection)
    _engine.dispose()

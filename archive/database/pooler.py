"""What a pooler in transaction mode (pgbouncer) takes from sessions on PostgreSQL, and what to do about it.

Each transaction may run in another session of the server. So nothing may be set or prepared for longer than one, and
`prepared_statements=off` in the address keeps the archive from both. Limits that a session would have are then the
role's, where the administrator has set them, or those of each write transaction.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

# Of each session: who died in the middle of a transaction must not keep its locks, and nobody waits for ever for those
# of others.
SESSION_LIMITS = {"idle_in_transaction_session_timeout": "60s", "lock_timeout": "30s"}

# invalid_sql_statement_name, duplicate_prepared_statement: what was prepared is another session's.
_OF_PREPARED_STATEMENTS = frozenset({"26000", "42P05"})
_REFUSES_OPTIONS = "unsupported startup parameter"

_MISSING = "missing limits"  # of the information about a connection


def advice(error: SQLAlchemyError) -> str | None:
    """What to do about an error that a pooler makes; None for any other."""
    reason = getattr(error, "orig", None)
    if getattr(reason, "sqlstate", None) in _OF_PREPARED_STATEMENTS or _REFUSES_OPTIONS in str(reason):
        return "The database cannot be used through this pooler; add to its address: ?prepared_statements=off"
    return None


def look_for_limits(engine: Engine) -> None:
    """Let each connection through a pooler know which of SESSION_LIMITS its role lacks."""
    asked = ", ".join(f"current_setting('{name}')" for name in SESSION_LIMITS)

    @event.listens_for(engine, "connect")
    def _look(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            found = cursor.execute(f"SELECT {asked}").fetchone()
        connection.rollback()
        record.info[_MISSING] = [name for name, limit in zip(SESSION_LIMITS, found, strict=True) if limit == "0"]


def missing_limits(connection: Connection) -> dict[str, str]:
    """Those of SESSION_LIMITS that the role lacks behind a pooler."""
    return {name: SESSION_LIMITS[name] for name in connection.connection.info.get(_MISSING, ())}


def limit(connection: Connection) -> None:
    """At the start of a transaction: set what is missing, until it ends."""
    if missing := missing_limits(connection):
        setting = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in missing.items())
        connection.exec_driver_sql(f"SELECT {setting}")

"""What a pooler in transaction mode (pgbouncer) takes from sessions on PostgreSQL, and what to do about it.

Each transaction may run in another session of the server. So nothing may be set or prepared for longer than one, and
`prepared_statements=off` in the address keeps the archive from both.
"""

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from archive.database import dialects

# Of each session: who died in the middle of a transaction must not keep its locks, and nobody waits for ever for those
# of others.
SESSION_LIMITS = {"idle_in_transaction_session_timeout": "60s", "lock_timeout": "30s"}

# invalid_sql_statement_name, duplicate_prepared_statement: what was prepared is another session's.
_OF_PREPARED_STATEMENTS = frozenset({"26000", "42P05"})
_REFUSES_OPTIONS = "unsupported startup parameter"


def advice(error: SQLAlchemyError) -> str | None:
    """What to do about an error that a pooler makes; None for any other."""
    reason = getattr(error, "orig", None)
    if getattr(reason, "sqlstate", None) in _OF_PREPARED_STATEMENTS or _REFUSES_OPTIONS in str(reason):
        return "The database cannot be used through this pooler; add to its address: ?prepared_statements=off"
    return None


def missing_limits(connection: Connection) -> dict[str, str]:
    """Those of SESSION_LIMITS that this session lacks: behind a pooler only the administrator can set them."""
    if dialects.has_one_writer(connection):
        return {}
    unlimited = {name for name in SESSION_LIMITS if connection.scalar(select(func.current_setting(name))) == "0"}
    return {name: limit for name, limit in SESSION_LIMITS.items() if name in unlimited}

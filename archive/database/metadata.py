"""The MetaData that every table joins, and the column types that read the same on both databases.

Names of constraints and indexes follow one convention, so that a migration can name what it changes and a person can
guess it. Text is compared by code point on both databases (SQLite's BINARY, PostgreSQL's "C"): a prefix search is then
an index range on both, and both give the same order.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, MetaData, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)

# SQLite gives row ids only to a column declared INTEGER; there it is 64 bits wide all the same.
Key = BigInteger().with_variant(Integer, "sqlite")

BinaryText = Text().with_variant(Text(collation="C"), "postgresql")


class Json(TypeDecorator[Any]):
    """`jsonb` on PostgreSQL, JSON text on SQLite; None is NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return dialect.type_descriptor(JSON(none_as_null=True))
        from sqlalchemy.dialects.postgresql import JSONB  # imported already, where it is the dialect

        return dialect.type_descriptor(JSONB(none_as_null=True))


class Timestamp(TypeDecorator[datetime]):
    """A moment in UTC: `timestamptz` on PostgreSQL, ISO text without a zone on SQLite; always aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(UTC)

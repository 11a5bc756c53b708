"""Association profiles as rows: a profile is written as one, and read whole."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select

from archive.registry.association_profiles import (
    AssociationProfile,
    ProfileContext,
    ProfileExtension,
    ProfileRole,
)
from archive.registry.tables import (
    association_profile_contexts,
    association_profile_extensions,
    association_profile_roles,
    association_profile_syntaxes,
    association_profiles,
)

# All that `assembled` needs the rows of, in the order of their keys.
TABLES = (
    association_profiles,
    association_profile_contexts,
    association_profile_syntaxes,
    association_profile_roles,
    association_profile_extensions,
)


def assembled(rows: Mapping[Table, Sequence[Row[Any]]]) -> dict[int, AssociationProfile]:
    """The profiles by their keys; `rows` are those of TABLES."""
    syntaxes: dict[int, list[str]] = {}
    for row in _positioned(rows[association_profile_syntaxes]):
        syntaxes.setdefault(row.context_pk, []).append(row.transfer_syntax_uid)
    contexts = _by_profile(
        rows[association_profile_contexts],
        lambda row: ProfileContext(row.sop_class_uid, tuple(syntaxes.get(row.pk, ()))),
    )
    roles = _by_profile(
        rows[association_profile_roles], lambda row: ProfileRole(row.sop_class_uid, row.is_scu, row.is_scp)
    )
    extensions = _by_profile(
        rows[association_profile_extensions],
        lambda row: ProfileExtension(row.sop_class_uid, row.application_information),
    )
    return {
        row.pk: AssociationProfile(
            row.name,
            tuple(contexts.get(row.pk, ())),
            tuple(roles.get(row.pk, ())),
            tuple(extensions.get(row.pk, ())),
        )
        for row in rows[association_profiles]
    }


def _positioned(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    return sorted(rows, key=lambda row: row.position)


def _by_profile(rows: Iterable[Row[Any]], made) -> dict[int, list]:
    found: dict[int, list] = {}
    for row in _positioned(rows):
        found.setdefault(row.profile_pk, []).append(made(row))
    return found


def key_of(connection: Connection, name: str) -> int | None:
    """The key of a profile by its name."""
    return connection.scalar(select(association_profiles.c.pk).where(association_profiles.c.name == name))


def add(connection: Connection, profile: AssociationProfile) -> None:
    """Write the rows of a profile that is not there yet."""
    values = {"name": profile.name, "created_at": datetime.now(UTC)}
    pk = connection.scalar(insert(association_profiles).values(**values).returning(association_profiles.c.pk))
    assert pk is not None
    _fill(connection, pk, profile)


def replace(connection: Connection, pk: int, profile: AssociationProfile) -> None:
    """Write other contents for a profile; who uses it goes on using it."""
    for table in (association_profile_contexts, association_profile_roles, association_profile_extensions):
        connection.execute(delete(table).where(table.c.profile_pk == pk))
    _fill(connection, pk, profile)


def _fill(connection: Connection, pk: int, profile: AssociationProfile) -> None:
    for position, context in enumerate(profile.contexts, start=1):
        values = {"profile_pk": pk, "position": position, "sop_class_uid": context.sop_class}
        returned = association_profile_contexts.c.pk
        context_pk = connection.scalar(insert(association_profile_contexts).values(**values).returning(returned))
        rows = [
            {"context_pk": context_pk, "position": place, "transfer_syntax_uid": syntax}
            for place, syntax in enumerate(context.transfer_syntaxes, start=1)
        ]
        connection.execute(insert(association_profile_syntaxes), rows)
    roles = [
        {
            "profile_pk": pk,
            "position": position,
            "sop_class_uid": each.sop_class,
            "is_scu": each.is_scu,
            "is_scp": each.is_scp,
        }
        for position, each in enumerate(profile.roles, start=1)
    ]
    extensions = [
        {
            "profile_pk": pk,
            "position": position,
            "sop_class_uid": each.sop_class,
            "application_information": each.information,
        }
        for position, each in enumerate(profile.extensions, start=1)
    ]
    for table, found in ((association_profile_roles, roles), (association_profile_extensions, extensions)):
        if found:
            connection.execute(insert(table), found)

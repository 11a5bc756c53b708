"""What the administrator changes about association profiles, and how titles and peers name theirs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from archive.errors import Misconfigured
from archive.registry import profile_rows, steps
from archive.registry.association_profiles import AssociationProfile, write
from archive.registry.changes.named import profile_row
from archive.registry.tables import ae_titles, association_profiles, peers


def put_profile(connection: Connection, profile: AssociationProfile) -> str:
    """Add a profile, or give one of its name other contents; returns "add", "set", or "" where nothing differs."""
    known = {each.name.upper(): (pk, each) for pk, each in _profiles(connection).items()}
    pk, before = known.get(profile.name.upper(), (None, None))
    if pk is None or before is None:
        profile_rows.add(connection, profile)
        steps.changed(connection, "add", "profile", profile.name, after=_written(profile))
        return "add"
    profile = replace(profile, name=before.name)
    if profile == before:
        return ""
    if connection.scalar(select(ae_titles.c.pk).where(ae_titles.c.profile_pk == pk).limit(1)) is not None:
        profile.check_acceptor()
    if connection.scalar(select(peers.c.pk).where(peers.c.profile_pk == pk).limit(1)) is not None:
        profile.check_requestor()
    profile_rows.replace(connection, pk, profile)
    steps.changed(connection, "set", "profile", profile.name, before=_written(before), after=_written(profile))
    return "set"


def remove_profile(connection: Connection, name: str) -> None:
    """Remove a profile that nobody uses."""
    row = profile_row(connection, name)
    name = row.name
    title = connection.scalar(select(ae_titles.c.title).where(ae_titles.c.profile_pk == row.pk))
    if title is not None:
        raise Misconfigured(f"AE title {title} accepts by it; run: archive ae set {title} --profile none")
    peer = connection.scalar(select(peers.c.name).where(peers.c.profile_pk == row.pk))
    if peer is not None:
        raise Misconfigured(f"What is sent to peer {peer} goes by it; run: archive peer set {peer} --profile none")
    before = _profiles(connection)[row.pk]
    steps.delete_row(connection, association_profiles, row, in_use=f"Profile {name} is still in use")
    steps.changed(connection, "remove", "profile", name, before=_written(before))


def with_profile_key(
    connection: Connection, settings: Mapping[str, Any], check: Callable[[AssociationProfile], None]
) -> dict[str, Any]:
    """Settings with the key of the profile they name, which passes `check`."""
    values = dict(settings)
    if "profile" in values:
        name = values.pop("profile")
        values["profile_pk"] = None
        if name is not None:
            pk = values["profile_pk"] = profile_row(connection, name).pk
            check(_profiles(connection)[pk])
    return values


def with_profile_name(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with the name of a profile for its key."""
    shown = dict(values)
    if "profile_pk" in shown:
        pk = shown.pop("profile_pk")
        name = select(association_profiles.c.name).where(association_profiles.c.pk == pk)
        shown["profile"] = None if pk is None else connection.scalar(name)
    return shown


def _profiles(connection: Connection) -> dict[int, AssociationProfile]:
    return profile_rows.assembled(
        {table: connection.execute(select(table).order_by(table.c.pk)).all() for table in profile_rows.TABLES}
    )


def _written(profile: AssociationProfile) -> dict[str, Any]:
    """A profile in a note: as its file has it."""
    return {"profile": write((profile,)).decode("ascii")}

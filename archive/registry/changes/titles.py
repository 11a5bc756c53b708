"""What the administrator changes about our own AE titles."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from archive.errors import Misconfigured
from archive.registry import answering, names, steps
from archive.registry.association_profiles import AssociationProfile
from archive.registry.changes.named import area_row, title_row
from archive.registry.changes.profiles import with_profile_key, with_profile_name
from archive.registry.changes.rules import remove_rules
from archive.registry.tables import access_rules, ae_titles, storage_areas

ACCESS = {"R": (True, False), "W": (False, True), "RW": (True, True), "WR": (True, True)}


def add_title(
    connection: Connection, title: str, area: str, access: str, settings: Mapping[str, Any] | None = None
) -> None:
    """A new AE title of ours that works in `area`; `settings` as for `set_title`."""
    names.require_ae_title(title)
    can_read, can_write = _access(access)
    values = {"title": title, "area_pk": area_row(connection, area).pk, "can_read": can_read, "can_write": can_write}
    values |= with_profile_key(connection, settings or {}, AssociationProfile.check_acceptor)
    answering.require(values)
    _require_a_model(values)
    steps.insert_row(connection, ae_titles, values, taken=f"There is an AE title {title} already")
    steps.changed(connection, "add", "ae_title", title, after=_titled(connection, values))


def set_title(connection: Connection, title: str, settings: Mapping[str, Any]) -> None:
    """Change a title: `area` and `profile` (their names), `access` (R, W or RW), and columns."""
    row = title_row(connection, title)
    values = with_profile_key(connection, settings, AssociationProfile.check_acceptor)
    if "area" in values:
        values["area_pk"] = area_row(connection, values.pop("area")).pk
    if "access" in values:
        values["can_read"], values["can_write"] = _access(values.pop("access"))
    if not values:
        raise Misconfigured("Nothing to change; archive ae set --help lists the settings")
    answering.require(values)
    _require_a_model(row._asdict() | values)
    steps.update_row(connection, ae_titles, row, values)
    before, after = _titled(connection, steps.differing(row, values)), _titled(connection, values)
    steps.changed(connection, "set", "ae_title", title, before=before, after=after)


def remove_title(connection: Connection, title: str) -> None:
    """Remove a title of ours and its rules; its area stays."""
    row = title_row(connection, title)
    remove_rules(connection, access_rules.c.ae_title_pk == row.pk)
    before = _titled(connection, row._asdict())
    steps.delete_row(connection, ae_titles, row, in_use=f"AE title {title} is still in use")
    steps.changed(connection, "remove", "ae_title", title, before=before)


def _access(access: str) -> tuple[bool, bool]:
    try:
        return ACCESS[access.upper()]
    except KeyError:
        raise Misconfigured("Access is R, W or RW", access=access) from None


def _require_a_model(values: Mapping[str, Any]) -> None:
    models = ("allows_patient_root", "allows_study_root", "allows_patient_study_only")
    if not any(values.get(model, True) for model in models):
        raise Misconfigured("A title offers at least one of Patient Root, Study Root and Patient/Study Only")


def _titled(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """A title's values with the names of its area and its profile."""
    shown = with_profile_name(connection, values)
    if "area_pk" in shown:
        area_pk = shown.pop("area_pk")
        shown["area"] = connection.scalar(select(storage_areas.c.name).where(storage_areas.c.pk == area_pk))
    return shown

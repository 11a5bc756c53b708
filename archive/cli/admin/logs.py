"""`archive log`: what happened, and why, as the archive wrote it down."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from archive.cli import export, output
from archive.cli.admin import reports
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, MostRows, example, json_option, period_options, properties, with_archive
from archive.index import evictable, report_rows
from archive.index.report_rows import Wanted
from archive.index.reports import REPORTS
from archive.registry import audit

__all__ = ["access", "changes", "evictions"]

_EVICTIONS = (
    "evicted_at",
    "area",
    "study_instance_uid",
    "patient_id",
    "what",
    "number_of_instances",
    "size_bytes",
    "reason",
    "caused_by_ae_title",
    "caused_by_sop_instance_uid",
)
_CHANGES = ("changed_at", "os_user", "os_host", "action", "subject", "name", "before", "after")

DEFAULT_LIMIT = 1000


@click.command(
    "access",
    epilog=example("archive log access --since 24h --refused", "archive log access --calling CT1 --limit 20 --json"),
)
@period_options
@click.option("--title", shell_complete=names_of("ae_title"), metavar="AET", help="Only at this AE title of ours.")
@click.option("--calling", shell_complete=names_of("peer_title"), metavar="AET", help="Only of this calling AE title.")
@click.option("--refused", "is_refused", is_flag=True, help="Only what was refused, and why.")
@click.option("--limit", type=MostRows, default=100, metavar="N", help="Most rows; by default 100.")
@json_option
@with_archive
def access(
    archive: Archive, title: str | None, calling: str | None, is_refused: bool, as_json: bool, **given: Any
) -> None:
    """Show the access log, newest first: associations, what was asked for in them, and every refusal."""
    where: Sequence[tuple[str, str]] = [
        (column, value)
        for column, value in (
            ("called_ae_title", title),
            ("calling_ae_title", calling),
            ("is_refused", "yes" if is_refused else None),
        )
        if value is not None
    ]
    report, wanted = REPORTS["access"], Wanted(where=where, **given)
    columns = tuple(report.columns) if as_json else tuple(report.brief)
    found = _newest(archive, wanted, columns)
    if as_json:
        export.write_json(columns, found[: wanted.limit], None)
    else:
        reports.print_table(columns, found, wanted.limit or reports.ROWS_ON_A_SCREEN)


def _newest(archive: Archive, wanted: Wanted, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows, and one more if there is: looked for in the last hour, day and month before all that is there.

    Without a bound, a database sorts the whole log to find its newest rows.
    """
    assert wanted.limit is not None
    most, now = replace(wanted, limit=wanted.limit + 1), wanted.until or datetime.now(UTC)
    spans = (timedelta(hours=1), timedelta(days=1), timedelta(days=30)) if wanted.since is None else ()
    with archive.read() as connection:
        for span in spans:
            found = list(report_rows.rows(connection, REPORTS["access"], replace(most, since=now - span), columns))
            if len(found) > wanted.limit:
                return found
        return list(report_rows.rows(connection, REPORTS["access"], most, columns))


@click.command("changes", epilog=example("archive log changes --since 7d", "archive log changes --name ARCHIVE --json"))
@period_options
@click.option(
    "--subject", metavar="KIND", help="Only of one kind of thing: area, ae_title, peer, rule, study and so on."
)
@click.option("--name", metavar="NAME", help="Only of what has this name.")
@click.option("--limit", type=MostRows, default=DEFAULT_LIMIT, show_default=True, help="Most to list.")
@json_option
@with_archive
def changes(archive: Archive, limit: int, as_json: bool, **conditions: Any) -> None:
    """List who changed what by a command, the last first, and how it was before."""
    with archive.read() as connection:
        noted = audit.history(connection, limit=limit + 1, **conditions)
    rows = [properties(each) for each in noted]
    if not as_json:
        rows = [row | {side: _brief(row[side]) for side in ("before", "after")} for row in rows]
    _listed(_CHANGES, rows, limit, as_json=as_json, if_empty="No changes.")


def _brief(values: dict[str, Any] | None) -> str:
    """For people: what is set, by name."""
    said = {name: value for name, value in (values or {}).items() if value is not None}
    return " ".join(f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in said.items())


@click.command("evictions", epilog=example("archive log evictions --area ARCHIVE --since 2026-03-01"))
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="Only of this area.")
@period_options
@click.option("--limit", type=MostRows, default=DEFAULT_LIMIT, show_default=True, help="Most to list.")
@json_option
@with_archive
def evictions(
    archive: Archive, area: str | None, since: datetime | None, until: datetime | None, limit: int, as_json: bool
) -> None:
    """List what quotas took, the last first: what, why, when, how much, and the store that needed the room."""
    area_pk = None if area is None else archive.area(area).pk
    with archive.read() as connection:
        noted = evictable.noted(connection, area_pk, since, until, limit + 1)
    rows = [properties(each) | {"what": "study" if each.is_whole_study else "oldest instances"} for each in noted]
    _listed(_EVICTIONS, rows, limit, as_json=as_json, if_empty="No evictions.")


def _listed(
    columns: Sequence[str], rows: Sequence[dict[str, Any]], limit: int, *, as_json: bool, if_empty: str
) -> None:
    """As many as were asked for, and a word if there are more."""
    output.table(columns, rows[:limit], as_json=as_json, if_empty=if_empty)
    if len(rows) > limit:
        click.echo(f"There are more than {limit}; see --limit.", err=True)

"""`archive area usage` and `evict`: what areas hold, what their quotas would take, and how housekeeping goes."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from archive.cli import output
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, example, json_option, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.database.dialects import Connection
from archive.index import housekeeping
from archive.index import usage as counters
from archive.index.housekeeping import AreaError, State
from archive.lifecycle import evict
from archive.lifecycle.evict import Disks, Eviction
from archive.registry import audit
from archive.registry.snapshot import Area
from archive.storage.disk import Disk

__all__ = ["evict_now", "usage"]

_USAGE = (
    "area",
    "studies",
    "max_studies",
    "series",
    "instances",
    "size_bytes",
    "max_bytes",
    "instances_to_file",
    "files_to_unlink",
    "free_bytes",
    "min_free_bytes",
)
_HOUSEKEEPING = (
    "housekeeping_node",
    "housekeeping_since",
    "housekeeping_is_alive",
    "last_round_at",
    "last_round_seconds",
    "last_error",
    "last_error_at",
    "errors",
)
_EVICTED = ("study_instance_uid", "patient_id", "last_stored_at", "what", "instances", "size_bytes", "reason")

# Which evictions by hand share with a worker of one node or another.
_SHARD = 0


@click.command("usage", epilog=example("archive area usage --json"))
@click.argument("name", required=False, shell_complete=names_of("area"))
@json_option
@with_archive
def usage(archive: Archive, name: str | None, as_json: bool) -> None:
    """Show what areas hold, what room their disks have left, what waits for housekeeping, and how that goes."""
    areas = archive.areas(name)
    with archive.read() as connection:
        state = housekeeping.state(connection)
        is_alive = state is not None and housekeeping.is_kept(connection, state)
        errors = [each for each in housekeeping.errors(connection) if each.area_pk in {area.pk for area in areas}]
    rows = [{"area": area.name} | used(archive, area) for area in areas]
    if as_json:
        of_all = _housekeeping(state, is_alive)
        of_each = [{"errors": [_error(each) for each in errors if each.area_pk == area.pk]} for area in areas]
        rows = [row | of_all | own for row, own in zip(rows, of_each, strict=True)]
    columns = (*_USAGE, *_HOUSEKEEPING) if as_json else _USAGE
    output.table(columns, rows, as_json=as_json, if_empty="No areas; add one: archive area add NAME PATH")
    if not as_json:
        _say_housekeeping(state, is_alive)
        _say_errors(areas, errors)


def used(archive: Archive, area: Area) -> dict[str, Any]:
    """What an area holds beside its limits, and what waits there."""
    with archive.read() as connection:
        held = counters.of_area(connection, area.pk)
        waiting = housekeeping.backlog(connection, area.pk)
    return {
        "studies": held.number_of_studies,
        "series": held.number_of_series,
        "instances": held.number_of_instances,
        "size_bytes": held.size_bytes,
        "instances_to_file": waiting.instances_to_file,
        "files_to_unlink": waiting.files_to_unlink,
        "free_bytes": Disk(area.folder(archive.settings.data_folder)).free_bytes(),
        "max_studies": area.quota.max_studies,
        "max_bytes": area.quota.max_bytes,
        "min_free_bytes": area.quota.min_free_bytes,
    }


def _housekeeping(state: State | None, is_alive: bool) -> dict[str, Any]:
    return {
        "housekeeping_node": None if state is None else state.node,
        "housekeeping_since": None if state is None else state.elected_at,
        "housekeeping_is_alive": is_alive,
        "last_round_at": None if state is None else state.last_round_at,
        "last_round_seconds": None if state is None else state.last_round_seconds,
        "last_error": None if state is None else state.last_error,
        "last_error_at": None if state is None else state.last_error_at,
    }


def _error(error: AreaError) -> dict[str, Any]:
    return {"work": error.work, "error": error.error, "last_at": error.last_at, "is_mended": error.is_mended}


def _say_housekeeping(state: State | None, is_alive: bool) -> None:
    if state is None or not is_alive:
        was = "" if state is None else f"; the last was {state.node}, until {output.moment(state.lease_until)}"
        click.echo(f"No node keeps house{was}. Files wait until one does: archive serve", err=True)
        return
    click.echo(f"Housekeeping: {state.node}, since {output.moment(state.elected_at)}.")
    if state.last_round_at is not None:
        ended = output.moment(state.last_round_at)
        click.echo(f"Its last round ended {ended} and took {state.last_round_seconds:.3f} s.")
    if state.last_error_at is not None:
        click.echo(
            f"A round ended early at {output.moment(state.last_error_at)}: {output.line(state.last_error or '')}"
        )


def _say_errors(areas: Sequence[Area], errors: Sequence[AreaError]) -> None:
    names = {area.pk: area.name for area in areas}
    for each in errors:
        mended = ", which is mended since" if each.is_mended else ""
        when = f"{output.moment(each.last_at)}{mended}"
        click.echo(f"{names[each.area_pk]}: could not {each.work} at {when}: {output.line(each.error)}")


@click.command("evict", epilog=example("archive area evict ARCHIVE --dry-run"))
@click.argument("name", shell_complete=names_of("area"))
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would go and what that frees; change nothing.")
@with_outcome
def evict_now(archive: Archive, outcome: Outcome, name: str, is_dry: bool) -> None:
    """Bring an area within its quota and its headroom now, as housekeeping does: what is too old, too large or too
    much goes, and files with it.
    """
    area = archive.area(name)
    evicted = _due(archive, area) if is_dry else list(enforce(archive, area))
    outcome.tell(area=name, is_dry_run=is_dry)
    if not outcome.as_json:
        rows = [_row(each) for each in evicted]
        output.table(_EVICTED, rows, as_json=False, if_empty=f"Area {name} is within its quota.")
    tell_evictions(outcome, evicted, "would go" if is_dry else "went")


def _due(archive: Archive, area: Area) -> list[Eviction]:
    with archive.read() as connection:
        return list(evict.due(connection, area, _disks(archive, area), datetime.now(UTC)))


def enforce(archive: Archive, area: Area) -> Iterator[Eviction]:
    """Bring an area within its quota; what went, each after its commit, which has a note of it."""
    if not area.quota.picks_studies or not _due(archive, area):
        return
    disks = _disks(archive, area)

    def work(connection: Connection) -> list[Eviction]:
        evicted = evict.enforce_some(connection, area, _SHARD, disks)
        if evicted:
            audit.note(connection, "evict", "area", area.name, before=_sum(evicted))
        return evicted

    while evicted := archive.write(work):
        yield from evicted


def _disks(archive: Archive, area: Area) -> Disks:
    return Disks.of(area, archive.settings.data_folder, archive.database)


def tell_evictions(outcome: Outcome, evicted: Sequence[Eviction], what: str) -> None:
    """Tell what went: to people in one sentence, with what that frees; nothing if nothing did."""
    outcome.tell(evictions=[_row(each) for each in evicted])
    if not evicted:
        return
    total = _sum(evicted)
    of_these = [output.counted(total["studies"], "study")] if total["studies"] else []
    if instances := total["instances_of_other_studies"]:
        of_these.append(f"{output.counted(instances, 'instance')} of studies that are too large")
    outcome.say(f"{' and '.join(of_these)} {what}: {output.size(total['size_bytes'])}.")


def _row(eviction: Eviction) -> dict[str, Any]:
    return {
        "study_instance_uid": eviction.study.study_instance_uid,
        "patient_id": eviction.study.patient_id,
        "last_stored_at": eviction.study.last_stored_at,
        "what": "study" if eviction.is_whole_study else "oldest instances",
        "instances": eviction.number_of_instances,
        "size_bytes": eviction.size_bytes,
        "reason": eviction.reason.value,
    }


def _sum(evicted: Sequence[Eviction]) -> dict[str, int]:
    """How much goes, all together."""
    shrunk = [each for each in evicted if not each.is_whole_study]
    return {
        "studies": len(evicted) - len(shrunk),
        "instances_of_other_studies": sum(each.number_of_instances for each in shrunk),
        "size_bytes": sum(each.size_bytes for each in evicted),
    }

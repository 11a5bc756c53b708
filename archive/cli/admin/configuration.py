"""`archive import-config` and `export-config`: the registry from a dcmqrscp.cfg, and as one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from archive.cli import output
from archive.cli.admin.areas import require_apart
from archive.cli.admin.usage import enforce, tell_evictions
from archive.cli.options import Archive, example, json_option, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.cli.reading import read_file
from archive.database.dialects import Connection
from archive.errors import DiskFailed
from archive.lifecycle import evict
from archive.lifecycle.evict import Eviction
from archive.registry import (
    dcmqrscp_config,
    dcmqrscp_export,
    dcmqrscp_import,
    dcmqrscp_reading,
    dcmqrscp_rows,
    snapshot,
)
from archive.registry.dcmqrscp_rows import Site
from archive.registry.notices import Notice
from archive.registry.snapshot import Area

__all__ = ["export_config", "import_config", "read_site", "require_own_folders"]


def read_site(file: Path) -> tuple[dcmqrscp_config.DcmqrscpConfig, Site, tuple[Notice, ...]]:
    """What a dcmqrscp.cfg says, the rows that it means, and what is odd about it; raises Misconfigured."""
    reading = dcmqrscp_reading.read(read_file(file), str(file))
    site = dcmqrscp_rows.site(reading.config, Path.cwd())
    return reading.config, site, (*reading.notices, *site.notices)


def make_folders(site: Site) -> None:
    """The folders of areas that are not there yet; raises DiskFailed."""
    for area in site.areas:
        try:
            Path(area.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskFailed("Cannot make the folder of an area", path=area.path, reason=error.strerror) from error


def require_own_folders(site: Site, areas: Iterable[Area], data: Path) -> None:
    """No area of the file shares its folder with another one, however it is spelt; raises Misconfigured."""
    wanted, known = {area.path for area in site.areas}, tuple(areas)
    for area in known:
        if area.path in wanted:
            require_apart(area.folder(data), [other for other in known if other.pk != area.pk], data)


@click.command(
    "import-config",
    epilog=example("archive import-config /etc/dcmtk/dcmqrscp.cfg --dry-run", "archive import-config dcmqrscp.cfg"),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would change; change nothing.")
@with_outcome
def import_config(archive: Archive, outcome: Outcome, file: Path, is_dry: bool) -> None:
    """Make areas, AE titles, peers, groups, vendors and rules of a dcmqrscp.cfg; what is here already stays.

    Run again, it changes nothing. Holds for the next association. Port, PDU size and number of associations are
    settings of the service, and not taken over.
    """
    config, site, notices = read_site(file)

    def work(connection: Connection) -> list[str]:
        changed = dcmqrscp_import.bring(connection, site)
        areas = {area.path: area for area in snapshot.read(connection).areas.values()}
        require_own_folders(site, areas.values(), archive.settings.data_folder)
        for area in site.areas:
            evict.follow_policy(connection, areas[area.path])
        if not is_dry:
            make_folders(site)  # before the commit: no area is without its folder
        return changed

    changed = archive.write(work, is_dry_run=is_dry)
    outcome.tell(is_dry_run=is_dry, notices=[_noted(notice) for notice in notices])
    _say(outcome, changed, notices, file, is_dry)
    tell_evictions(outcome, [] if is_dry else _enforce(archive, site), "made room for the limits of the file")
    if not is_dry:
        _say_what_is_left(outcome, config, site)


def _enforce(archive: Archive, site: Site) -> list[Eviction]:
    """What goes because the limits of the file are lower."""
    paths = {area.path for area in site.areas}
    areas = [area for area in archive.registry().areas.values() if area.path in paths]
    return [eviction for area in areas for eviction in enforce(archive, area)]


def _noted(notice: Notice) -> dict[str, Any]:
    return {"line": notice.line or None, "text": notice.text}


def _say(outcome: Outcome, changed: Sequence[str], notices: Sequence[Notice], file: Path, is_dry: bool) -> None:
    for notice in notices:
        where = f"{file}, line {notice.line}" if notice.line else str(file)
        outcome.hint(f"{where}: {notice.text}")
    for sentence in changed:
        outcome.say(f"{'would be: ' if is_dry else ''}{sentence}")
    if not changed:
        outcome.hint(f"All that {file} says is here already.")


def _say_what_is_left(outcome: Outcome, config: dcmqrscp_config.DcmqrscpConfig, site: Site) -> None:
    outcome.hint(
        f"The service is started with: archive serve --host 0.0.0.0 --port {config.network_tcp_port} "
        f"--max-pdu {config.max_pdu_bytes} --max-associations {config.max_associations}"
    )
    if any((Path(area.path) / "index.dat").exists() for area in site.areas):
        outcome.hint("Images that lie in an area already are indexed by: archive import --in-place --area NAME")


@click.command("export-config", epilog=example("archive export-config --output dcmqrscp.cfg"))
@click.option("--output", "file", metavar="FILE", type=click.Path(path_type=Path), help="By default standard output.")
@json_option
@with_archive
def export_config(archive: Archive, file: Path | None, as_json: bool) -> None:
    """Write the registry as a dcmqrscp.cfg, and say what that format cannot hold."""
    loaded = archive.settings
    exported = dcmqrscp_export.export(
        archive.registry(),
        loaded.data_folder,
        port=loaded.port if isinstance(loaded.port, int) and loaded.port else 104,
        max_pdu_bytes=min(loaded.max_pdu, dcmqrscp_reading.MAX_PDU_BYTES),
        max_associations=loaded.max_associations,
    )
    made = f"# Written by archive export-config, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.\n".encode()
    content = made + dcmqrscp_config.write(exported.config)
    if file is not None:
        try:
            file.write_bytes(content)
        except OSError as error:
            raise DiskFailed("Cannot write the file", path=str(file), reason=error.strerror) from error
    if as_json:
        output.facts({"configuration": content.decode(), "losses": list(exported.losses)}, as_json=True)
        return
    if file is None:
        click.echo(content, nl=False)
    for loss in exported.losses:
        click.echo(f"Not in the file: {loss}.", err=True)

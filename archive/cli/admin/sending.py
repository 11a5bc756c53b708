"""`archive study send`: a study, or some of its series, to a peer by C-STORE."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import click

from archive.cli import output, progress
from archive.cli.main import FAILED
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, example, json_option, named, with_archive
from archive.dicom.attributes import BY_KEYWORD, Level
from archive.errors import Misconfigured
from archive.index.locate import Location
from archive.lifecycle.retrieve import Holdings
from archive.query.conditions import condition
from archive.query.model import Key, Model, Options, Query
from archive.registry import names
from archive.registry.snapshot import Area, Peer, Registry
from archive.server import wiring
from archive.services import send as service
from archive.services.suboperations import Progress
from archive.upper_layer.tls import Tls

__all__ = ["send"]


@click.command(
    "send",
    epilog=example(
        "archive study send 1.2.840.113619.2.55.3 --to WS1",
        "archive study send 1.2.840.113619.2.55.3 --to WS1 --series 1.2.840.113619.2.55.3.4 --as ARCHIVE",
    ),
)
@click.argument("uid")
@click.option(
    "--to", "destination", shell_complete=names_of("peer"), metavar="PEER", required=True, help="The peer, by its name."
)
@click.option("--series", metavar="UID", multiple=True, help="Only this series; may be given again.")
@click.option(
    "--as",
    "calling",
    shell_complete=names_of("ae_title"),
    metavar="TITLE",
    help="Call with this AE title; by default the first of ours in the area.",
)
@click.option("--area", shell_complete=names_of("area"), metavar="NAME", help="The area, where several hold the study.")
@json_option
@with_archive
def send(
    archive: Archive,
    uid: str,
    destination: str,
    series: tuple[str, ...],
    calling: str | None,
    area: str | None,
    as_json: bool,
) -> None:
    """Send a study to a peer, each instance by a C-STORE. Exit code 1 if some could not be sent, with the reasons.

    As in a C-MOVE, an instance goes in its stored transfer syntax, or converted where the peer takes only another
    uncompressed one.
    """
    logging.getLogger("archive").addHandler(logging.NullHandler())  # what fails is said below, each once
    registry = archive.registry()
    peer: Peer = named(registry.peers, destination, "peer", "archive peer list")
    if peer.port is None:
        raise Misconfigured(
            f"Peer {destination} only calls; give it a port: archive peer set {destination} --port PORT"
        )
    holdings = Holdings(archive.database, archive.settings.data_folder)
    where, locations = _held(archive, holdings, uid, series, area)
    title = calling or _title_in(registry, where)
    names.require_ae_title(title)
    began = time.monotonic()
    with progress.bar(f"Sending to {destination}", len(locations), unit="instances") as advance:
        waits, sessions = wiring.timeouts(archive.settings), Tls(wiring.tls_policy(archive.settings))
        sent = service.send(
            holdings, where, locations, peer, calling=title, timeouts=waits, tls=sessions, advance=advance
        )
    seconds = time.monotonic() - began
    if as_json:
        output.facts(_facts(uid, where, destination, sent, seconds), as_json=True)
    else:
        _say(uid, peer, title, sent, seconds)
    if sent.failed:
        click.get_current_context().exit(FAILED)


def _held(
    archive: Archive, holdings: Holdings, uid: str, series: Sequence[str], area: str | None
) -> tuple[Area, list[Location]]:
    """The area that holds the study, and what of it is to be sent; raises Misconfigured."""
    query = _query(uid, series)
    found = {each.name: (each, holdings.locate(query, each)) for each in archive.areas(area)}
    holding = {name: each for name, each in found.items() if each[1]}
    if not holding:
        what = f"study {uid}" if not series else f"such series of study {uid}"
        where = "" if area is None else f" in area {area}"
        raise Misconfigured(f"There is no {what}{where}; run: archive study list")
    if len(holding) > 1:
        raise Misconfigured(f"The study is in the areas {', '.join(holding)}; name one with --area")
    return next(iter(holding.values()))


def _query(uid: str, series: Sequence[str]) -> Query:
    """The question of a C-MOVE for the study, or for some of its series."""
    keys = [_key("StudyInstanceUID", uid)]
    if series:
        keys.append(_key("SeriesInstanceUID", "\\".join(series)))
    return Query(Model.STUDY_ROOT, Level.SERIES if series else Level.STUDY, tuple(keys))


def _key(keyword: str, value: str) -> Key:
    attribute = BY_KEYWORD[keyword]
    try:
        wanted = condition(attribute.vr, value, Options())
    except ValueError as error:
        raise Misconfigured(f"{value!r} is no value for {keyword}", reason=str(error)) from error
    if wanted is None:
        raise Misconfigured(f"{keyword} is empty")
    return Key(attribute, wanted)


def _title_in(registry: Registry, area: Area) -> str:
    """The first of our titles in an area, which a peer most likely knows us by."""
    for title in registry.titles.values():
        if title.area.pk == area.pk:
            return title.title
    return next(iter(registry.titles), "ARCHIVE")


def _facts(uid: str, area: Area, destination: str, sent: Progress, seconds: float) -> dict[str, Any]:
    failures = zip(sent.failed_uids, sent.reasons, strict=True)
    return {
        "study_instance_uid": uid,
        "area": area.name,
        "peer": destination,
        "sent": sent.completed,
        "warnings": sent.warning,
        "failed": sent.failed,
        "failures": [{"sop_instance_uid": failed, "reason": reason} for failed, reason in failures],
        "seconds": round(seconds, 3),
    }


def _say(uid: str, peer: Peer, title: str, sent: Progress, seconds: float) -> None:
    for failed, reason in zip(sent.failed_uids, sent.reasons, strict=True):
        click.echo(f"{failed}: {reason}")
    warned = f", {sent.warning} of them with a warning" if sent.warning else ""
    click.echo(
        f"Study {uid}: {output.counted(sent.completed + sent.warning, 'instance')} sent to {peer.ae_title} at "
        f"{peer.host} port {peer.port} by {title} in {seconds:.1f} s{warned}, {sent.failed} failed."
    )

"""`archive rule explain`: what a caller may do at one of our AE titles, and the rule or the fact that decides it."""

from collections.abc import Iterator
from shlex import quote
from typing import Any

import click

from archive.cli import output
from archive.cli.main import FAILED
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, Operations, example, json_option, with_archive
from archive.registry import access, certificates, destinations
from archive.registry.access import Caller, Decision
from archive.registry.snapshot import Registry
from archive.registry.tables import OPERATIONS, RULED
from archive.services.lookups import Lookups
from archive.upper_layer import connection as wire

__all__ = ["explain"]

# For the host name of a caller who is to be explained.
_RESOLVE_SECONDS = 5.0


@click.command(
    "explain",
    epilog=example(
        "archive rule explain --at ARCHIVE --title CT1 --from 10.1.2.3 --can store",
        "archive rule explain --at ARCHIVE --title CT1 --from 10.1.2.3 --can move --to WORKSTATION",
    ),
)
@click.option(
    "--at", shell_complete=names_of("ae_title"), required=True, metavar="TITLE", help="The AE title that is called."
)
@click.option(
    "--title", shell_complete=names_of("peer_title"), required=True, metavar="AET", help="The AE title that calls."
)
@click.option("--from", "host", required=True, metavar="HOST", help="Where it calls from.")
@click.option(
    "--certificate",
    "shown",
    multiple=True,
    metavar="FILE|FORM",
    help=f"The certificate it shows: a PEM file, or {certificates.FORMS}; may be given several times.",
)
@click.option(
    "--can",
    type=Operations(),
    default=OPERATIONS,
    metavar="LIST",
    help=f"Operations, separated by commas, of {','.join(RULED)}; by default all but shutdown.",
)
@click.option(
    "--to",
    "destination",
    shell_complete=names_of("peer_title"),
    metavar="AET",
    help="Whether a C-MOVE may go to this AE title.",
)
@json_option
@with_archive
def explain(
    archive: Archive,
    at: str,
    title: str,
    host: str,
    shown: tuple[str, ...],
    can: tuple[str, ...],
    destination: str | None,
    as_json: bool,
) -> None:
    """Say what a caller may do at one of our AE titles, and why; exit code 1 if nothing of what was asked."""
    registry = archive.registry()
    identities = frozenset().union(*map(certificates.shown, shown))
    caller = Caller(title, wire.resolve(host, _RESOLVE_SECONDS)[0], identities)
    lookups = Lookups(_RESOLVE_SECONDS)
    connection = access.connection(registry, caller.address, lookups.addresses_of, lookups.name_of)
    decisions = dict(_decisions(registry, at, caller, can, destination, lookups)) if connection.allowed else {}
    rows = [
        _row("connect", connection),
        *(_row(operation, decision) for operation, decision in decisions.items()),
    ]
    output.table(("operation", "allowed", "reason"), rows, as_json=as_json)
    if not any(decision.allowed for decision in decisions.values()):
        if any(decision.a_rule_could_allow for decision in decisions.values()) and not as_json:
            hint = f"archive rule allow --at {quote(at)} --title {quote(title)} --from {caller.address}"
            click.echo(f"To let it in: {hint}", err=True)
        click.get_current_context().exit(FAILED)


def _decisions(
    registry: Registry, at: str, caller: Caller, can: tuple[str, ...], destination: str | None, lookups: Lookups
) -> Iterator[tuple[str, Decision]]:
    for operation in can:
        decision = access.decide(registry, at, caller, operation, lookups.addresses_of)
        yield operation, _with_conditions(registry, at, operation, decision)
    if destination is not None and at in registry.titles:
        found = destinations.decide(registry, registry.titles[at], caller, destination, lookups.addresses_of)
        yield f"move to {destination}", Decision(found.peer is not None, found.reason)


def _with_conditions(registry: Registry, at: str, operation: str, decision: Decision) -> Decision:
    """What else must hold, which depends on the association and not on who calls."""
    title = registry.titles.get(at)
    if title is None or not decision.allowed:
        return decision
    policy = title.policy
    conditions = {
        "and the peer must name its Implementation Class UID": policy.requires_implementation_uid,
        "and the caller must prove to be a user": title.requires_user,
        "and a C-FIND of the same model must be accepted beside it": (
            policy.requires_find and operation in ("move", "get")
        ),
        "and no other association may be storing": not policy.allows_parallel_store and operation == "store",
        f"and not in {_missing_models(policy)}": bool(_missing_models(policy)) and operation in ("find", "move", "get"),
    }
    reason = ", ".join([decision.reason, *(each for each, holds in conditions.items() if holds)])
    return Decision(True, reason, decision.rule)


def _missing_models(policy: Any) -> str:
    models = {
        "Patient Root": policy.allows_patient_root,
        "Study Root": policy.allows_study_root,
        "Patient/Study Only": policy.allows_patient_study_only,
    }
    return ", ".join(model for model, is_offered in models.items() if not is_offered)


def _row(operation: str, decision: Decision) -> dict[str, Any]:
    return {"operation": operation, "allowed": decision.allowed, "reason": decision.reason}

"""`archive group`: peers under one name, of which rules and move destinations may speak; vendors are groups, too."""

import click

from archive.cli import output
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, example, json_option, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.errors import Misconfigured
from archive.registry import groups

__all__ = ["add", "change", "list_groups", "remove"]

_COLUMNS = ("name", "kind", "members", "peers")


@click.command(
    "add",
    epilog=example(
        "archive group add SCANNERS --member CT1 --member MR1",
        "archive group add 'Acme Medical' --vendor --member SCANNERS",
    ),
)
@click.argument("name")
@click.option("--vendor", "is_vendor", is_flag=True, help="It is a vendor: see archive ae set --moves-to same-vendor.")
@click.option(
    "--member",
    "members",
    shell_complete=names_of("peer", "group", "vendor"),
    metavar="NAME",
    multiple=True,
    help="A peer, or another group; may be repeated.",
)
@with_outcome
def add(archive: Archive, outcome: Outcome, name: str, is_vendor: bool, members: tuple[str, ...]) -> None:
    """Add a group of peers under a NAME that no peer has; what is in its groups is in it, too."""
    archive.write(lambda connection: groups.add_group(connection, name, members, is_vendor=is_vendor))
    outcome.say(f"{'Vendor' if is_vendor else 'Group'} {name} has {output.counted(len(set(members)), 'member')}.")


@click.command("list", epilog=example("archive group list"))
@json_option
@with_archive
def list_groups(archive: Archive, as_json: bool) -> None:
    """List groups and vendors: their members, and all peers in them."""
    rows = [
        {
            "name": group.name,
            "kind": "vendor" if group.is_vendor else "group",
            "members": list(group.members),
            "peers": [peer.name for peer in group.peers],
        }
        for group in archive.registry().groups.values()
    ]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No groups; see: archive group add --help")


@click.command("set", epilog=example("archive group set SCANNERS --add-member MR2 --remove-member CT1"))
@click.argument("name", shell_complete=names_of("group", "vendor"))
@click.option(
    "--add-member",
    "added",
    shell_complete=names_of("peer", "group", "vendor"),
    metavar="NAME",
    multiple=True,
    help="Put a peer or another group into it.",
)
@click.option(
    "--remove-member",
    "removed",
    shell_complete=names_of("peer", "group", "vendor"),
    metavar="NAME",
    multiple=True,
    help="Take a peer or another group out.",
)
@with_outcome
def change(archive: Archive, outcome: Outcome, name: str, added: tuple[str, ...], removed: tuple[str, ...]) -> None:
    """Change who is in a group or vendor. Holds for the next association."""
    if not added and not removed:
        raise Misconfigured("Nothing to change; archive group set --help lists the settings")
    archive.write(lambda connection: groups.set_group(connection, name, add=added, remove=removed))
    outcome.say(f"{name} is changed.")


@click.command("remove", epilog=example("archive group remove SCANNERS"))
@click.argument("name", shell_complete=names_of("group", "vendor"))
@with_outcome
def remove(archive: Archive, outcome: Outcome, name: str) -> None:
    """Remove a group or vendor, and the rules that name it; the peers in it stay."""
    archive.write(lambda connection: groups.remove_group(connection, name))
    outcome.say(f"{name} is removed, and the rules that named it.")

"""`archive profile`: association profiles, read from DCMTK's configuration files and written to them."""

from pathlib import Path
from typing import Any

import click

from archive.cli import output
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, example, json_option, named, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.cli.reading import read_file
from archive.dicom import dcmtk_names
from archive.errors import Misconfigured
from archive.registry import association_profiles, changes
from archive.registry.association_profiles import AssociationProfile
from archive.registry.snapshot import Registry

__all__ = ["export", "import_file", "list_profiles", "remove", "show"]

_COLUMNS = ("name", "contexts", "roles", "extensions", "ae_titles", "peers")
_CONTEXTS = ("number", "sop_class", "name", "role", "transfer_syntaxes")


@click.command("import", epilog=example("archive profile import storescp.cfg --dry-run"))
@click.argument("file")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be done; change nothing.")
@with_outcome
def import_file(archive: Archive, outcome: Outcome, file: str, is_dry: bool) -> None:
    """Import every association profile of a DCMTK configuration file.

    One that is there already gets the contents of the file. Holds for the next association.
    """
    reading = association_profiles.read(read_file(Path(file)), file)
    for notice in reading.notices:
        outcome.hint(f"{file}, line {notice.line}: {notice.text}.")

    def work(connection: Any) -> list[tuple[str, str]]:
        return [(profile.name, changes.put_profile(connection, profile)) for profile in reading.profiles]

    done = archive.write(work, is_dry_run=is_dry)
    words = {"add": "added", "set": "changed", "": "the same already"}
    for name, action in done:
        outcome.say(f"Profile {name}: {'would be ' if is_dry and action else ''}{words[action]}.")
    outcome.tell(
        is_dry_run=is_dry,
        profiles=[name for name, _ in done],
        notices=[{"line": notice.line, "text": notice.text} for notice in reading.notices],
    )


@click.command("export", epilog=example("archive profile export > profiles.cfg"))
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=names_of("profile"))
@json_option
@with_archive
def export(archive: Archive, names: tuple[str, ...], as_json: bool) -> None:
    """Print profiles, by default all, as a DCMTK configuration file."""
    known = archive.registry().profiles
    chosen = [_profile(known, name) for name in names] or list(known.values())
    if not chosen:
        raise Misconfigured("There are no profiles; import some: archive profile import FILE")
    written = association_profiles.write(chosen)
    if as_json:
        exported = {"configuration": written.decode("ascii"), "profiles": [each.name for each in chosen]}
        output.facts(exported, as_json=True)
        return
    click.echo(written, nl=False)


@click.command("list", epilog=example("archive profile list"))
@json_option
@with_archive
def list_profiles(archive: Archive, as_json: bool) -> None:
    """List the association profiles, and who uses them."""
    registry = archive.registry()
    rows = [_described(registry, profile) for profile in registry.profiles.values()]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No profiles; see: archive profile import --help")


def _described(registry: Registry, profile: AssociationProfile) -> dict[str, Any]:
    titles = registry.titles.values()
    return {
        "name": profile.name,
        "contexts": len(profile.contexts),
        "roles": len(profile.roles),
        "extensions": len(profile.extensions),
        "ae_titles": [
            each.title for each in titles if each.answering.profile and each.answering.profile.name == profile.name
        ],
        "peers": [each.name for each in registry.peers.values() if each.profile and each.profile.name == profile.name],
    }


@click.command("show", epilog=example("archive profile show AllDICOM"))
@click.argument("name", shell_complete=names_of("profile"))
@json_option
@with_archive
def show(archive: Archive, name: str, as_json: bool) -> None:
    """Show the presentation contexts of a profile: SOP Class, role, transfer syntaxes."""
    profile = _profile(archive.registry().profiles, name)
    roles = {each.sop_class: each for each in profile.roles}
    rows = [
        {
            "number": number,
            "sop_class": each.sop_class,
            "name": dcmtk_names.name_of(each.sop_class),
            "role": _role(roles.get(each.sop_class)),
            "transfer_syntaxes": list(each.transfer_syntaxes),
        }
        for number, each in enumerate(profile.contexts, start=1)
    ]
    output.table(_CONTEXTS, rows, as_json=as_json, if_empty="No presentation contexts.")


def _role(role: association_profiles.ProfileRole | None) -> str | None:
    if role is None:
        return None
    return "BOTH" if role.is_scu and role.is_scp else "SCU" if role.is_scu else "SCP"


@click.command("remove", epilog=example("archive profile remove AllDICOM"))
@click.argument("name", shell_complete=names_of("profile"))
@with_outcome
def remove(archive: Archive, outcome: Outcome, name: str) -> None:
    """Remove a profile that no AE title and no peer uses."""
    archive.write(lambda connection: changes.remove_profile(connection, name))
    outcome.say(f"Profile {name} is removed.")


def _profile(known: Any, name: str) -> AssociationProfile:
    """By its name, whatever its case."""
    by_key = {each.upper(): profile for each, profile in known.items()}
    return named(by_key, name.upper(), "association profile", "archive profile list")

"""`archive ae`: our own AE titles; whoever calls one of them works in its area."""

from shlex import quote

import click

from archive.cli import output
from archive.cli.options import Archive, example, json_option, with_archive
from archive.registry import changes

__all__ = ["add", "change", "list_titles", "remove"]

_COLUMNS = ("title", "area", "access", "rules")

_ACCESS = click.Choice(["RW", "R", "W"], case_sensitive=False)


@click.command("add", epilog=example("archive ae add RESEARCH --area RESEARCH --access RW"))
@click.argument("title")
@click.option("--area", required=True, help="The area in which the title works.")
@click.option("--access", required=True, type=_ACCESS, help="R: find, move and get; W: store; RW: both.")
@with_archive
def add(archive: Archive, title: str, area: str, access: str) -> None:
    """Add an AE title of ours; nobody may call it until a rule allows it."""
    archive.write(lambda connection: changes.add_title(connection, title, area, access))
    click.echo(f"AE title {title} works in area {area} ({access.upper()}).")
    click.echo(
        f"Nobody may enter until a rule allows it, for instance: archive rule allow --at {quote(title)} --peer NAME",
        err=True,
    )


@click.command("list", epilog=example("archive ae list --json"))
@json_option
@with_archive
def list_titles(archive: Archive, as_json: bool) -> None:
    """List our AE titles: area, access, and how many rules there are."""
    rows = [
        {"title": title.title, "area": title.area.name, "access": title.access, "rules": len(title.rules)}
        for title in archive.registry().titles.values()
    ]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No AE titles; add one: archive ae add TITLE --area NAME")


@click.command("set", epilog=example("archive ae set RESEARCH --access R"))
@click.argument("title")
@click.option("--area", help="Work in this area from now on; what is in the old one stays there.")
@click.option("--access", type=_ACCESS, help="R: find, move and get; W: store; RW: both.")
@with_archive
def change(archive: Archive, title: str, area: str | None, access: str | None) -> None:
    """Change the area or the access of an AE title. Holds for the next association."""
    archive.write(lambda connection: changes.set_title(connection, title, area, access))
    click.echo(f"AE title {title} is changed.")


@click.command("remove", epilog=example("archive ae remove RESEARCH"))
@click.argument("title")
@with_archive
def remove(archive: Archive, title: str) -> None:
    """Remove an AE title of ours and its rules; its area and what that holds stay."""
    archive.write(lambda connection: changes.remove_title(connection, title))
    click.echo(f"AE title {title} is removed, and its rules with it.")

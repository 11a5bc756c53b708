"""`archive user`: who may prove itself by User Identity negotiation; passwords are read, never an argument."""

import sys

import click

from archive.cli import output
from archive.cli.name_completion import names_of
from archive.cli.options import Archive, example, json_option, with_archive, with_outcome
from archive.cli.output import Outcome
from archive.errors import Misconfigured
from archive.registry import changes, passwords

__all__ = ["add", "change", "list_users", "remove"]

_COLUMNS = ("name", "password", "disabled")


@click.command("add", epilog=example("archive user add ward3"))
@click.argument("name")
@click.option("--no-password", "is_open", is_flag=True, help="The name alone is enough; proves nothing.")
@with_outcome
def add(archive: Archive, outcome: Outcome, name: str, is_open: bool) -> None:
    """Add a user; the password is asked for, or read from the first line of standard input."""
    changes.require_user_name(name)
    known = None if is_open else passwords.hashed(_read_password())
    archive.write(lambda connection: changes.add_user(connection, name, known))
    outcome.say(f"User {name} is added.")
    outcome.hint("To ask callers of a title for a user: archive ae set TITLE --require-user")


@click.command("list", epilog=example("archive user list"))
@json_option
@with_archive
def list_users(archive: Archive, as_json: bool) -> None:
    """List the users: whether they have a password, and whether they are disabled."""
    rows = [
        {"name": user.name, "password": user.password_hash is not None, "disabled": user.disabled}
        for user in archive.registry().users.values()
    ]
    output.table(_COLUMNS, rows, as_json=as_json, if_empty="No users; see: archive user add --help")


@click.command("set", epilog=example("archive user set ward3 --disable", "archive user set ward3 --password"))
@click.argument("name", shell_complete=names_of("user"))
@click.option("--password/--no-password", "has_password", default=None, help="Read a new password, or have none.")
@click.option("--disable/--enable", "disabled", default=None, help="Refuse this user, or take it again.")
@with_outcome
def change(archive: Archive, outcome: Outcome, name: str, has_password: bool | None, disabled: bool | None) -> None:
    """Change a user's password, or disable it. Holds for the next association."""
    values: dict[str, object] = {}
    if has_password is not None:
        values["password_hash"] = passwords.hashed(_read_password()) if has_password else None
    if disabled is not None:
        values["disabled"] = disabled
    archive.write(lambda connection: changes.set_user(connection, name, values))
    outcome.say(f"User {name} is changed.")


@click.command("remove", epilog=example("archive user remove ward3"))
@click.argument("name", shell_complete=names_of("user"))
@with_outcome
def remove(archive: Archive, outcome: Outcome, name: str) -> None:
    """Remove a user."""
    archive.write(lambda connection: changes.remove_user(connection, name))
    outcome.say(f"User {name} is removed.")


def _read_password() -> bytes:
    """From the terminal, twice and unseen; else the first line of standard input."""
    try:
        if sys.stdin.isatty():
            password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        else:
            password = sys.stdin.readline().rstrip("\r\n")
        encoded = password.encode()
    except UnicodeError as error:
        raise Misconfigured("The password is no text in UTF-8, in which peers send it") from error
    if not 1 <= len(encoded) <= passwords.MOST_BYTES:
        raise Misconfigured(
            f"The first line of standard input is the password, of 1 to {passwords.MOST_BYTES} bytes; "
            "for a user without one: --no-password"
        )
    return encoded

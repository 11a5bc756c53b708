"""Options that commands share, and the archive they open: settings first, then the database, founded if it is new."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import click

from archive import settings
from archive.cli.main import FAILED
from archive.cli.output import Outcome
from archive.database import transaction
from archive.database.engine import Database
from archive.errors import Misconfigured
from archive.lifecycle import founding
from archive.registry import audit, snapshot
from archive.registry.audit import Note
from archive.registry.model import Area, Registry
from archive.registry.tables import RULED
from archive.settings import Settings

# What an option takes for no value of its own.
NONE = "none"

T = TypeVar("T")
Command = Callable[..., Any]


class _DryRun(Exception):
    """Ends the transaction of a dry run, which is rolled back; carries what it would have come to."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


@dataclass(frozen=True, slots=True)
class Archive:
    """What a command works on."""

    settings: Settings
    database: Database
    changes: list[Note] = field(default_factory=list[Note])
    """What `write` has changed, or would have, one after the other."""

    @contextmanager
    def read(self) -> Iterator[Any]:
        """A connection in one read transaction."""
        with transaction.read(self.database) as connection:
            yield connection

    def write(self, work: Callable[[Any], T], *, is_dry_run: bool = False) -> T:
        """Run `work` in one write transaction: all of it happens, or nothing; of a dry run, nothing."""
        notes: list[Note] = []

        def listening(connection: Any) -> T:
            nonlocal notes
            with audit.heard(connection) as notes:
                result = work(connection)
            if is_dry_run:
                raise _DryRun(result)
            return result

        try:
            result = transaction.write(self.database, listening)
        except _DryRun as dry:
            result = dry.result
        self.changes.extend(notes)
        return result

    def registry(self) -> Registry:
        """What the administrator decided, as it is now."""
        with self.read() as connection:
            return snapshot.read(connection)

    def area(self, name: str) -> Area:
        """An area by its name; raises Misconfigured."""
        return named(self.registry().areas, name, "area", "archive area list")

    def areas(self, name: str | None) -> list[Area]:
        """One area, or all."""
        return list(self.registry().areas.values()) if name is None else [self.area(name)]


def named(known: Any, name: str, noun: str, listing: str) -> Any:
    """One of the registry's things by its name; raises Misconfigured that says how to list them."""
    if name not in known:
        raise Misconfigured(f"There is no {noun} {name}; run: {listing}")
    return known[name]


def example(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def setting_options(command: Command) -> Command:
    """--data, --database and --config, as `archive serve` has them."""
    for option in (
        click.option("--config", metavar="FILE", help="Settings file instead of ./archive.toml (ARCHIVE_CONFIG)."),
        click.option("--database", metavar="URL", help="Address of the database (ARCHIVE_DATABASE)."),
        click.option("--data", metavar="FOLDER", help="Data folder, by default ./archive-data (ARCHIVE_DATA)."),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_settings(command: Command) -> Command:
    """Give a command its settings as first argument."""

    @wraps(command)
    def run(data: str | None, database: str | None, config: str | None, **given: Any) -> Any:
        flags = {"data": data, "database": database, "config": config}
        return command(settings.load(flags), **given)

    return setting_options(run)


def with_archive(command: Command) -> Command:
    """Give a command the opened archive as first argument."""

    @wraps(command)
    def run(loaded: Settings, **given: Any) -> Any:
        database, was_founded = founding.open_archive(loaded.data_folder, loaded.database_url)
        with closing(database):
            if was_founded:
                click.echo(f"Made a new archive in {loaded.data_folder}.", err=True)
            return command(Archive(loaded, database), **given)

    return with_settings(run)


def with_outcome(command: Command) -> Command:
    """Give a command that changes something the opened archive and the outcome that it tells; it takes --json."""

    @wraps(command)
    def run(archive: Archive, as_json: bool, **given: Any) -> None:
        outcome = Outcome(as_json)
        try:
            command(archive, outcome, **given)
        except Exception:
            if outcome.is_failure:
                outcome.end([properties(change) for change in archive.changes])
            raise
        outcome.end([properties(change) for change in archive.changes])
        if outcome.is_failure:
            click.get_current_context().exit(FAILED)

    return json_option(with_archive(run))


class Limit(click.ParamType[int | str]):
    """A number from `least` up to `most`, or none."""

    name = "N|none"

    def __init__(self, most: int = 2**31 - 1, least: int = 1) -> None:
        self._least, self._most = least, most

    @property
    def expected(self) -> str:
        """What the option takes, in an error."""
        return f"a number from {self._least} to {self._most}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value).lower()
        if text == NONE:
            return NONE
        number = self.number(text)
        if number is None or not self._least <= number <= self._most:
            self.fail(f"{value!r} is neither {self.expected} nor none", param, ctx)
        return number

    def number(self, text: str) -> int | None:
        """What the text says; None if nothing that is expected."""
        return int(text) if text.isascii() and text.isdigit() else None


# Rows of a listing; one more than these must be a number to every database.
MostRows = click.IntRange(1, 2**31 - 1)


class Operations(click.ParamType[tuple[str, ...]]):
    """A list of operations, separated by commas."""

    name = "operations"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        words = value if isinstance(value, tuple) else tuple(word.strip().lower() for word in value.split(","))
        unknown = [word for word in words if word not in RULED]
        if unknown:
            self.fail(f"{', '.join(map(repr, unknown))}: expected a list of {','.join(RULED)}", param, ctx)
        return words


_FIRST_YEAR = 1900


class Moment(click.ParamType[datetime]):
    """A moment in UTC: a date, a date and time, or so long ago. A date that `is_end` is meant to its end."""

    name = "moment"

    def __init__(self, *, is_end: bool = False) -> None:
        self._is_end = is_end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        if ago := re.fullmatch(r"(\d{1,5})([hd])", value):
            return datetime.now(UTC) - timedelta(hours=int(ago[1]) * (24 if ago[2] == "d" else 1))
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: expected 2026-03-01, 2026-03-01T14:05, 24h or 7d", param, ctx)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not _FIRST_YEAR <= moment.year < MAXYEAR:  # beyond, a time zone or a day more has no date
            self.fail(f"{value!r}: expected a year from {_FIRST_YEAR} to {MAXYEAR - 1}", param, ctx)
        is_date = re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", value) is not None
        return moment + timedelta(days=1) if self._is_end and is_date else moment


def period_options(command: Command) -> Command:
    """--since and --until."""
    for option in (
        click.option(
            "--until",
            type=Moment(is_end=True),
            metavar="MOMENT",
            help="What came before: a date includes that day, a time is the first that is too late.",
        ),
        click.option(
            "--since",
            type=Moment(),
            metavar="MOMENT",
            help="What came from then on: 2026-03-01, 2026-03-01T14:05 (UTC), 24h or 7d ago.",
        ),
    ):
        command = option(command)
    return command


def columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as columns: `none` is NULL."""
    return {name: None if value == NONE else value for name, value in given.items() if value is not None}


def properties(value: Any) -> dict[str, Any]:
    """The fields of a frozen value, to be printed."""
    return {field.name: getattr(value, field.name) for field in fields(value)}

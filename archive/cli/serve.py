"""`archive serve`: the archive itself; on its first start it says what it made and how to open it to others."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from archive import settings, telemetry
from archive.cli.options import example, setting_options
from archive.lifecycle import founding
from archive.settings import Settings
from archive.upper_layer import tls

_SECONDS = click.FloatRange(min=0)


class Port(click.ParamType[int | str]):
    """A port, or off."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == "off":
            return value
        return click.IntRange(0, 65535).convert(value, param, ctx)


PORT = Port()


@click.command(
    "serve",
    epilog=example(
        "archive serve",
        "archive serve --host 0.0.0.0 --port 104 --data /srv/archive \\",
        "      --database postgresql://archive@db.example/archive",
        "archive serve --tls-port 2762 --tls-certificate archive.pem --tls-key archive.key --tls-ca ca.pem",
    ),
)
@click.option("--port", type=PORT, help="Port to listen on, by default 11112; off is none (ARCHIVE_PORT).")
@click.option(
    "--host",
    multiple=True,
    help="Address to listen on, by default 127.0.0.1; may be given several times. 0.0.0.0 is every IPv4 address, ipv6 "
    "every IPv6 one, :: both (ARCHIVE_HOST).",
)
@click.option("--tls-port", type=PORT, help="Port to listen on for TLS, by default off.")
@click.option("--tls-certificate", metavar="FILE", help="Our own certificate, in PEM or DER.")
@click.option("--tls-key", metavar="FILE", help="Its private key, by default in the file of the certificate.")
@click.option("--tls-key-password-file", metavar="FILE", help="The key's password (or: ARCHIVE_TLS_KEY_PASSWORD).")
@click.option("--tls-ca", metavar="FILE|FOLDER", help="Certificates of the authorities that are trusted.")
@click.option("--tls-crl", metavar="FILE|FOLDER", help="Revocation lists.")
@click.option("--tls-crl-check", type=click.Choice(tuple(tls.REVOCATION_CHECK)), help="By default leaf.")
@click.option("--tls-client-certificate", type=click.Choice(tuple(tls.CLIENT_CERTIFICATE)), help="By default required.")
@click.option("--tls-profile", type=click.Choice(tuple(tls.PROFILES)), help="By default bcp195-rfc8996.")
@click.option("--tls-ciphers", metavar="LIST", help="Instead of the profile's, as OpenSSL writes them.")
@click.option("--tls-dh-parameters", metavar="FILE", help="For DHE suites, in PEM; by default callers get none.")
@click.option("--tls-server-certificate", type=click.Choice(tls.SERVER_CERTIFICATE), help="By default required.")
@click.option("--tls-expect-name", metavar="NAME", help="The only server name callers may ask for; by default any.")
@click.option("--tls-request-name", metavar="host|off|NAME", help="Asked for where no host is checked; default host.")
@setting_options
@click.option("--workers", type=click.IntRange(0, 256), metavar="N", help="Processes, by default one for each core.")
@click.option("--max-associations", type=click.IntRange(1, 10_000), metavar="N", help="At a time, by default 200.")
@click.option("--max-pdu", type=click.IntRange(4096, 1_048_576), metavar="BYTES", help="By default 131072.")
@click.option(
    "--acse-timeout", type=_SECONDS, metavar="SECONDS", help="To begin and end an association; 30, 0 is none."
)
@click.option("--dimse-timeout", type=_SECONDS, metavar="SECONDS", help="For the rest of a message; 60, 0 is none.")
@click.option(
    "--response-timeout", type=_SECONDS, metavar="SECONDS", help="For a response to what we sent; 120, 0 is none."
)
@click.option("--idle-timeout", type=_SECONDS, metavar="SECONDS", help="Between two commands of a peer; 60, 0 is none.")
@click.option("--connect-timeout", type=_SECONDS, metavar="SECONDS", help="For a connection to a peer; 10, 0 is none.")
@click.option(
    "--drain-timeout", type=_SECONDS, metavar="SECONDS", help="For running operations when told to stop; 30, 0 is none."
)
@click.option(
    "--filing-delay", type=_SECONDS, metavar="SECONDS", help="Before small instances get their files; 2, 0 is at once."
)
@click.option(
    "--activity-days", type=click.IntRange(0, 36_500), metavar="N", help="Of the access log; 90, 0 is for ever."
)
@click.option(
    "--evictions-days",
    type=click.IntRange(0, 36_500),
    metavar="N",
    help="Of the log of evictions; 365, 0 is for ever.",
)
@click.option(
    "--changes-days",
    type=click.IntRange(0, 36_500),
    metavar="N",
    help="Of the log of changes by commands; 0, which is for ever.",
)
@click.option(
    "--housekeeping-lease",
    type=click.FloatRange(1, 86_400),
    metavar="SECONDS",
    help="Before another node takes over the housekeeping of one that died; 30.",
)
@click.option("--host-lookup", type=click.Choice(["off", "on"]), help="Name the hosts of callers in the log; off.")
@click.option("--log-level", type=click.Choice(telemetry.LEVELS), help="By default info.")
@click.option("--log-format", type=click.Choice(telemetry.FORMATS), help="By default text.")
@click.option("--log-file", metavar="FILE", help="By default standard error.")
def serve(**flags: Any) -> None:
    """Run the archive until SIGTERM or SIGINT; a second one ends it at once.

    The first start in an empty data folder makes the database, one area and one AE title, both named ARCHIVE, and lets
    in anybody on this machine.
    """
    loaded = settings.load(flags | {"host": ",".join(flags["host"]) or None})
    telemetry.set_up(loaded.log_level, loaded.log_format, Path(loaded.log_file) if loaded.log_file else None)
    database, was_founded = founding.open_archive(loaded.data_folder, loaded.database_url)
    with closing(database):  # before the service forks
        if was_founded:
            _say_what_was_made(loaded, str(database))
    from archive.server import supervisor

    click.get_current_context().exit(supervisor.run(loaded))


def _say_what_was_made(loaded: Settings, database: str) -> None:
    title = founding.FIRST_AREA
    click.echo(f"Made a new archive in {loaded.data_folder}: area {title}, AE title {title}, database {database}.")
    example = "" if loaded.port == "off" else f", for instance: echoscu -aec {title} localhost {loaded.port or 'PORT'}"
    click.echo(f"It lets in anybody on this machine{example}")
    click.echo(
        f"To open it to others: archive serve --host 0.0.0.0; archive rule allow --at {title} --any --from 10.0.0.0/8"
    )

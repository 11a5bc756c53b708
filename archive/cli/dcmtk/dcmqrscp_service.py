"""`archive dcmqrscp`: serve what a command line and a configuration file of DCMTK's dcmqrscp ask for.

The file is the whole truth: at each start the rows become what it says, and what lies in the storage areas is indexed.
The database lies in the folder of the first storage area, unless ARCHIVE_DATA or ARCHIVE_DATABASE name another place.
"""

import grp
import logging
import os
import pwd
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from archive import settings
from archive.cli.admin import configuration, networks
from archive.cli.dcmtk.dcmqrscp import CONFIGURATION_FAILED, PROGRAM, Dcmqrscp, decide, read_profiles
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.output_options import Output
from archive.database import transaction
from archive.database.dialects import Connection
from archive.database.engine import Database
from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths
from archive.errors import ArchiveError, Misconfigured
from archive.lifecycle import evict, founding, importing
from archive.lifecycle.importing import Fate
from archive.registry import changes, dcmqrscp_import, hosts_access, network_changes, profile_rows, snapshot
from archive.registry.association_profiles import AssociationProfile
from archive.registry.changes import ENCODING_SETTINGS
from archive.registry.dcmqrscp_config import DcmqrscpConfig
from archive.registry.dcmqrscp_import import Policies
from archive.registry.dcmqrscp_rows import Site
from archive.registry.tables import OPERATIONS, RULED
from archive.server import supervisor
from archive.settings import Settings

log = logging.getLogger(__name__)

# In the folder of the first storage area.
DATA_FOLDER = ".archive"
# dcmqrscp's own index, which is not read, and our data.
NO_IMAGES = frozenset({"index.dat", DATA_FOLDER})

HOSTS = {"ipv4": "0.0.0.0", "ipv6": "ipv6", "auto": "::"}  # noqa: S104 - as dcmqrscp listens
HOSTS_ALLOW, HOSTS_DENY = Path("/etc/hosts.allow"), Path("/etc/hosts.deny")


def serve(given: CommandLine) -> int:
    """Serve; the exit code."""
    asked = decide(given)
    profiles = None if asked.profiles is None else read_profiles(asked.profiles)
    encoding = _encoding(asked.output)
    try:
        config, site, notices = configuration.read_site(asked.config)
        for notice in notices:
            log.warning("%s, line %d: %s", asked.config, notice.line, notice.text)
        loaded = _settings(asked, config, site)
        ports = supervisor.listen(loaded)
        _become(config.user_name, config.group_name)
        configuration.make_folders(site)
        with closing(founding.open_current(loaded.data_folder, loaded.database_url)) as database:
            _bring(database, loaded.data_folder, site, asked, config, encoding, profiles)
            _index(database, loaded.data_folder, site)
        return supervisor.run(loaded, ports)
    except ArchiveError as error:
        log.critical("%s", error)
        return CONFIGURATION_FAILED


def _settings(asked: Dcmqrscp, config: DcmqrscpConfig, site: Site) -> Settings:
    flags = {
        "host": HOSTS[asked.ip_version],
        "port": asked.port or config.network_tcp_port,
        "max_pdu": asked.max_pdu_bytes or config.max_pdu_bytes,
        "max_associations": config.max_associations,
        "workers": 1 if asked.is_single_process else None,
        "acse_timeout": asked.acse_timeout,
        "dimse_timeout": asked.dimse_timeout,
        "connect_timeout": asked.connect_timeout,
        "host_lookup": "on" if asked.looks_up_hosts else "off",
    }
    loaded = settings.load(flags)
    if loaded.data == Settings().data and site.areas:
        return msgspec.structs.replace(loaded, data=str(Path(site.areas[0].path) / DATA_FOLDER))
    return loaded


def _become(user: str, group: str) -> None:
    """Give up being root, as the file says, now that the port is bound; raises Misconfigured."""
    if os.geteuid() != 0 or not (user or group):
        return
    try:
        account = pwd.getpwnam(user) if user else None
        number = grp.getgrnam(group).gr_gid if group else None
    except KeyError as error:
        raise Misconfigured(f"UserName and GroupName must be known to this machine: {error}") from error
    if account is not None:
        os.initgroups(account.pw_name, account.pw_gid if number is None else number)
    if number is not None or account is not None:
        os.setgid(number if number is not None else account.pw_gid)  # type: ignore[union-attr]  # one of them is
    if account is not None:
        os.setuid(account.pw_uid)


def _bring(
    database: Database,
    data: Path,
    site: Site,
    asked: Dcmqrscp,
    config: DcmqrscpConfig,
    encoding: dict[str, Any],
    profiles: tuple[AssociationProfile, AssociationProfile] | None,
) -> None:
    """Make the rows what the file and the options say."""
    network_rules = _network_rules() if asked.uses_host_rules else []

    def work(connection: Connection) -> list[str]:
        changes.begin(connection)
        accepting, proposing = (None, None) if profiles is None else (_profile(connection, each) for each in profiles)
        policies = Policies(
            areas={"discards": asked.ignores_stores, **encoding},
            titles=_title_policy(asked, config) | {"profile_pk": accepting},
            # Without an option, what is stored goes out as it is: else a compressed image could not go out at all.
            peers={"proposes": None if asked.propose == "uncompressed" else asked.propose, "profile_pk": proposing},
            operations=RULED if asked.allows_shutdown else OPERATIONS,
        )
        said = dcmqrscp_import.bring(connection, site, policies, is_whole_truth=True)
        known = snapshot.read(connection)
        configuration.require_own_folders(site, known.areas.values(), data)
        paths = {area.path for area in site.areas}
        for area in known.areas.values():
            if area.path in paths:
                evict.follow_policy(connection, area)
        if [(rule.accepts, rule.clients) for rule in known.network_rules] != network_rules:
            for rule in known.network_rules:
                network_changes.remove_rule(connection, rule.pk)
            network_changes.append_rules(connection, network_rules)
        return said

    for sentence in transaction.write(database, work):
        log.info("%s", sentence)


def _profile(connection: Connection, profile: AssociationProfile) -> int:
    """The key of a profile as the file has it now."""
    changes.put_profile(connection, profile)
    key = profile_rows.key_of(connection, profile.name)
    assert key is not None
    return key


def _title_policy(asked: Dcmqrscp, config: DcmqrscpConfig) -> dict[str, Any]:
    answers = asked.character_set.over(config.response_character_set)
    if answers.abort:
        log.warning("SpecificCharacterSet: abort has no counterpart: what fits no set is answered in ISO_IR 192")
    return {
        "moves_to_same_title": "aetitle" in asked.move_restrictions,
        "moves_to_same_host": "host" in asked.move_restrictions,
        "moves_to_same_vendor": "vendor" in asked.move_restrictions,
        "allows_get": asked.allows_get,
        "allows_patient_root": asked.has_patient_root,
        "allows_study_root": asked.has_study_root,
        "allows_patient_study_only": asked.has_patient_study_only,
        "requires_find": asked.requires_find,
        "allows_parallel_store": asked.allows_parallel_stores,
        "refuses": asked.refuses,
        "requires_implementation_uid": asked.requires_implementation_uid,
        "accepts": asked.accept,
        "strict_find": asked.checks_find,
        "strict_move": asked.checks_move,
        "character_set": answers.character_set,
        "character_set_overrides": answers.override,
        "character_set_falls_back": answers.fallback,
        "character_set_transliterates": answers.transliterate,
        "character_set_discards": answers.discard,
    }


def _encoding(output: Output) -> dict[str, Any]:
    """How areas write, as columns; raises Misconfigured for what an archive cannot do.

    dcmqrscp writes every data set anew unless told otherwise; here bytes stay as they came unless an option asks for
    more.
    """
    if not output.has_file_meta:
        raise Misconfigured("--write-dataset: an archive keeps File Meta Information, or nobody could read its files")
    file_bytes, item_bytes = output.padding_bytes or (0, 0)
    options = EncodingOptions(
        transfer_syntax_uid=output.transfer_syntax,
        group_lengths=GroupLengths(output.group_lengths),
        sequence_lengths=SequenceLengths.EXPLICIT if output.has_explicit_lengths else SequenceLengths.UNDEFINED,
        file_padding_bytes=file_bytes,
        item_padding_bytes=item_bytes,
        old_vrs_only=not output.has_new_vrs,
        deflate_level=output.deflate_level,
    )
    is_anew = options != EncodingOptions() if output.is_bit_preserving is None else not output.is_bit_preserving
    columns = {column: getattr(options, name) for name, column in ENCODING_SETTINGS.items()}
    return {"writing": "normalised" if is_anew else "received"} | {
        column: getattr(value, "value", value) for column, value in columns.items()
    }


def _network_rules() -> list[tuple[bool, Any]]:
    """The lines of hosts.allow and hosts.deny that speak of us; raises Misconfigured for those we cannot obey."""
    rules = []
    for path, accepts in ((HOSTS_ALLOW, True), (HOSTS_DENY, False)):
        if not path.exists():
            continue
        lines, problems = hosts_access.parse(networks.read_hosts_file(path), PROGRAM.name, accepts=accepts)
        for problem in problems:
            raise Misconfigured(f"{path}, line {problem.number}: {problem.reason}")
        rules += [(line.accepts, line.clients) for line in lines]
    return rules


def _index(database: Database, data: Path, site: Site) -> None:
    """Index what lies in the storage areas and is not indexed yet, as dcmqridx does."""
    with transaction.read(database) as connection:
        areas = {area.path: area for area in snapshot.read(connection).areas.values()}
    for wanted in site.areas:
        area, fates = areas[wanted.path], Counter[Fate]()
        files = [path for path in sorted(Path(wanted.path).iterdir()) if path.name not in NO_IMAGES]
        with closing(importing.import_files(database, area, data, files, is_in_place=True)) as outcomes:
            for outcome in outcomes:
                fates[outcome.fate] += 1
                if outcome.fate is Fate.BAD:
                    log.warning("%s is left as it is: %s", outcome.path, outcome.reason)
        if new := sum(number for fate, number in fates.items() if fate not in (Fate.HELD, Fate.BAD, Fate.SKIPPED)):
            log.info("%d images that lay in %s are indexed", new, wanted.path)

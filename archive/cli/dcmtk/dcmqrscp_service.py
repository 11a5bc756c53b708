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
from archive.cli.dcmtk import dcmqrscp_mapping, tls_settings
from archive.cli.dcmtk.dcmqrscp import CONFIGURATION_FAILED, Dcmqrscp, decide, read_profiles
from archive.cli.dcmtk.dcmqrscp_options import PROGRAM
from archive.cli.dcmtk.options import CommandLine
from archive.database import transaction
from archive.database.dialects import Connection
from archive.database.engine import Database
from archive.errors import ArchiveError, Misconfigured
from archive.lifecycle import evict, founding, importing
from archive.lifecycle.importing import Fate
from archive.registry import changes, dcmqrscp_import, hosts_access, network_changes, profile_rows, snapshot
from archive.registry.association_profiles import AssociationProfile
from archive.registry.dcmqrscp_config import DcmqrscpConfig
from archive.registry.dcmqrscp_rows import Site
from archive.server import supervisor
from archive.settings import Settings

log = logging.getLogger(__name__)

# In the folder of the first storage area.
DATA_FOLDER = ".archive"
# dcmqrscp's own index, which is not read, and our data.
NO_IMAGES = frozenset({"index.dat", DATA_FOLDER})

HOSTS_ALLOW, HOSTS_DENY = Path("/etc/hosts.allow"), Path("/etc/hosts.deny")


def serve(given: CommandLine) -> int:
    """Serve; the exit code."""
    asked = decide(given)
    profiles = None if asked.profiles is None else read_profiles(asked.profiles)
    dcmqrscp_mapping.check(asked)
    try:
        config, site, notices = configuration.read_site(asked.config)
        for notice in notices:
            log.warning("%s, line %d: %s", asked.config, notice.line, notice.text)
        answers = asked.character_set.over(config.response_character_set)
        if answers.abort:
            log.warning("SpecificCharacterSet: abort has no counterpart: what fits no set is answered in ISO_IR 192")
        tls_settings.stir(asked.tls)
        loaded = _settings(asked, config, site)
        ports = supervisor.listen(loaded)
        _become(config.user_name, config.group_name)
        supervisor.check_tls(loaded)
        configuration.make_folders(site)
        with closing(founding.open_current(loaded.data_folder, loaded.database_url)) as database:
            _bring(database, loaded.data_folder, site, asked, config, profiles)
            _index(database, loaded.data_folder, site)
        return supervisor.run(loaded, ports)
    except ArchiveError as error:
        log.critical("%s", error)
        return CONFIGURATION_FAILED


def _settings(asked: Dcmqrscp, config: DcmqrscpConfig, site: Site) -> Settings:
    loaded = settings.load(dcmqrscp_mapping.flags(asked, config))
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
    profiles: tuple[AssociationProfile, AssociationProfile] | None,
) -> None:
    """Make the rows what the file and the options say."""
    network_rules = _network_rules() if asked.uses_host_rules else []

    def work(connection: Connection) -> list[str]:
        changes.begin(connection)
        accepting, proposing = (None, None) if profiles is None else (_profile(connection, each) for each in profiles)
        policies = dcmqrscp_mapping.policies(asked, config, accepting, proposing)
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

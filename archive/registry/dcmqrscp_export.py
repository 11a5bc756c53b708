"""The registry as a dcmqrscp.cfg, and what that format cannot hold; pure."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from archive.registry import networks
from archive.registry.answering import AS_THE_SERVICE
from archive.registry.dcmqrscp_config import ApplicationEntity, DcmqrscpConfig, Entry, Members, StorageQuota
from archive.registry.dcmqrscp_config import Peer as ConfiguredPeer
from archive.registry.dcmqrscp_doubts import MAX_STUDIES, MAX_STUDY_BYTES
from archive.registry.model import Area, Group, OwnTitle, Peer, Registry, Rule, TitlePolicy
from archive.registry.tables import OPERATIONS

# What of a quota and of a title the file has no words for; options of dcmqrscp that say the same for all titles.
_OPTIONS = {
    "allows_get": "--disable-get",
    "allows_patient_root": "--no-patient-root",
    "allows_study_root": "--no-study-root",
    "allows_patient_study_only": "--no-patient-study",
    "requires_find": "--require-find",
    "allows_parallel_store": "--no-parallel-store",
    "refuses": "--refuse",
    "requires_implementation_uid": "--reject",
}
_MOVES = {
    "to_same_title": "--move-aetitle",
    "to_same_host": "--move-host",
    "to_same_vendor": "--move-vendor",
}


@dataclass(frozen=True, slots=True)
class Export:
    """A configuration, and a sentence for all that it does not say of the registry."""

    config: DcmqrscpConfig
    losses: tuple[str, ...]


def export(registry: Registry, data: Path, *, port: int, max_pdu_bytes: int, max_associations: int) -> Export:
    """The registry in dcmqrscp's words; areas with a relative path lie in `data`."""
    losses: list[str] = []
    hosts = [*_peers(registry, losses), *_groups(registry, losses)]
    vendors = [
        Entry(group.name, tuple(_configured(peer) for peer in group.peers if _is_sayable(peer)))
        for group in registry.groups.values()
        if group.is_vendor
    ]
    entities = []
    for title in registry.titles.values():
        losses += [f"{title.title}: {loss}" for loss in (*_of_title(title.policy), *_of_area(title.area))]
        if title.answering != AS_THE_SERVICE:
            losses.append(f"{title.title}: what it accepts, checks and answers are options there, for all AE titles")
        if title.requires_user:
            losses.append(f"{title.title}: dcmqrscp knows no users")
        peers = _callers(title, losses)
        if peers == ():
            losses.append(f"{title.title}: nobody is allowed to enter, which dcmqrscp cannot be told; it is left out")
            continue
        entities.append(
            ApplicationEntity(
                title.title, str(title.area.folder(data)), title.access or "R", _quota(title, losses), peers
            )
        )
    for rule in registry.network_rules:
        losses.append(f"{rule}: belongs in hosts.allow and hosts.deny, which dcmqrscp reads with --access-control")
    config = DcmqrscpConfig(
        network_tcp_port=port,
        max_pdu_bytes=max_pdu_bytes,
        max_associations=max_associations,
        hosts=tuple(hosts),
        vendors=tuple(vendor for vendor in vendors if vendor.members),
        application_entities=tuple(entities),
    )
    return Export(config, tuple(losses))


# Peers and groups.


def _is_sayable(peer: Peer) -> bool:
    return not networks.is_network(peer.host) or networks.is_address(peer.host)


def _configured(peer: Peer) -> ConfiguredPeer:
    return ConfiguredPeer(peer.ae_title, peer.host, peer.port or 0)


def _peers(registry: Registry, losses: list[str]) -> Iterator[Entry]:
    for peer in registry.peers.values():
        if peer.proposes is not None or peer.profile is not None:
            losses.append(f"peer {peer.name}: what is proposed to it is an option there, for all peers")
        if peer.uses_tls or peer.certificate is not None:
            losses.append(f"peer {peer.name}: its TLS and certificate have no words there")
        if _is_sayable(peer):
            yield Entry(peer.name, (_configured(peer),))
        else:
            losses.append(f"peer {peer.name}: dcmqrscp knows hosts by name or address only, not {peer.host}")


def _groups(registry: Registry, losses: list[str]) -> Iterator[Entry]:
    """Groups in an order in which each is defined before it is used."""
    waiting = []
    for group in registry.groups.values():
        if not _is_written(group):
            losses.append(f"{group.name}: nobody in it can be named there, so it is left out")
        elif not group.is_vendor:
            waiting.append(group)
    while waiting:
        names = {group.name for group in waiting}
        group = next(each for each in waiting if not names.intersection(each.members))
        waiting.remove(group)
        yield Entry(group.name, tuple(_members(group, registry)))


def _is_written(group: Group) -> bool:
    return any(_is_sayable(peer) for peer in group.peers)


def _members(group: Group, registry: Registry) -> Iterator[ConfiguredPeer | str]:
    """As the host table has them: names of peers and groups; a vendor is none of those, so its peers are written."""
    for name in group.members:
        member = registry.groups.get(name)
        if member is None:
            if _is_sayable(registry.peers[name]):
                yield name
        elif member.is_vendor:
            yield from (_configured(peer) for peer in member.peers if _is_sayable(peer))
        elif _is_written(member):
            yield name


# Who may enter.


def _callers(title: OwnTitle, losses: list[str]) -> Members | None:
    """Who is allowed everything; None is anybody. Rules that are about less are lost."""
    members: dict[ConfiguredPeer | str, None] = {}
    is_open = False
    for rule in title.rules:
        allows_all = rule.allows and rule.operations >= frozenset(OPERATIONS)
        caller = _caller(rule)
        if not allows_all:
            losses.append(f"{title.title}: {rule}: dcmqrscp knows callers that may do everything, and no others")
        elif caller is None:
            losses.append(f"{title.title}: {rule}: dcmqrscp knows a caller by AE title and host together")
        elif caller == ():
            is_open = True
        else:
            members |= dict.fromkeys(caller)
    return None if is_open else tuple(members)


def _caller(rule: Rule) -> Members | None:
    """Whom a rule speaks of; () is anybody, None is whom the file cannot name."""
    if rule.peer is not None:
        return (rule.peer.name,) if _is_sayable(rule.peer) else None
    if rule.group is not None:
        if rule.group.is_vendor:
            return tuple(_configured(peer) for peer in rule.group.peers if _is_sayable(peer)) or None
        return (rule.group.name,) if _is_written(rule.group) else None
    if rule.network is None:
        return () if rule.calling_ae_title is None else None
    is_host = networks.is_address(rule.network) or not networks.is_network(rule.network)
    if rule.calling_ae_title is None or not is_host:
        return None
    return (ConfiguredPeer(rule.calling_ae_title, rule.network, 0),)


# Quotas and policies.


def _quota(title: OwnTitle, losses: list[str]) -> StorageQuota:
    quota = title.area.quota
    for limit, most, unit in (
        ("max_studies", MAX_STUDIES, "studies"),
        ("max_study_bytes", MAX_STUDY_BYTES, "bytes of a study"),
    ):
        held = getattr(quota, limit)
        if held is None or held > most:
            said = "no limit" if held is None else held
            losses.append(f"{title.title}: {limit} is {said} here; dcmqrscp keeps {most} {unit} at most")
    return StorageQuota(quota.max_studies or MAX_STUDIES, quota.max_study_bytes or MAX_STUDY_BYTES)


def _of_area(area: Area) -> Iterator[str]:
    for limit in ("max_bytes", "max_age_days", "min_free_bytes"):
        if (value := getattr(area.quota, limit)) is not None:
            yield f"{limit} {value} of area {area.name} has no word there"
    if area.quota.limits_holdings and not area.quota.evicts:
        yield f"area {area.name} refuses what does not fit; dcmqrscp evicts"
    if area.duplicates != "replace":
        yield f"duplicates {area.duplicates} of area {area.name} has no word there; dcmqrscp replaces"


def _of_title(policy: TitlePolicy) -> Iterator[str]:
    usual = TitlePolicy()
    for each in fields(policy):
        value = getattr(policy, each.name)
        if each.name == "moves" or value == getattr(usual, each.name):
            continue
        option = _OPTIONS.get(each.name)
        yield (
            f"{each.name} {value} is option {option} there, for all AE titles"
            if option
            else (f"{each.name} {value} has no word there")
        )
    for name, option in _MOVES.items():
        if getattr(policy.moves, name):
            yield f"moves {name.replace('_', ' ')} are option {option} there, for all AE titles"
    if policy.moves.to_listed:
        yield "a list of move destinations has no word there"

"""What is sent to a peer, cut into batches that an association can carry each, and what is proposed for them.

What is proposed follows from what is sent: for each SOP Class and stored transfer syntax a presentation context of its
own, and for what can be converted one more with the uncompressed syntaxes; for a peer with a preset of transfer
syntaxes one context for each SOP Class, as dcmqrscp does, and for one with an association profile what it says. What
needs more contexts than an association has is split over several, one after the other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archive.dicom import convert, uids
from archive.dicom.transfer_syntax_presets import PROPOSE
from archive.index.locate import Location
from archive.registry.association_profiles import AssociationProfile
from archive.registry.model import Peer
from archive.upper_layer.proposal import ExtendedNegotiation, ProposedContext, Role

# A presentation context ID is odd and one byte (PS3.8 9.3.2.2).
MAX_CONTEXTS = 128

# What any instance with a plain data set is offered in, beside its own transfer syntax.
_FALLBACKS = (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class Batch:
    """Instances that one association can carry, and what is proposed for them."""

    contexts: tuple[ProposedContext, ...]
    locations: tuple[Location, ...]
    roles: tuple[Role, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()


def batches(locations: Iterable[Location], destination: Peer) -> Iterator[Batch]:
    """Cut the instances, in their order, into batches that each fit the presentation contexts of one association.

    Where the destination has a preset there is one context for each SOP Class; where it has a profile there is one
    batch, and what the profile has no context for will fail.
    """
    locations = tuple(locations)
    if destination.profile is not None:
        if locations:
            yield _profiled(destination.profile, locations)
        return
    proposed: dict[tuple[str, tuple[str, ...]], None] = {}
    members: list[Location] = []
    for location in locations:
        wanted = _wanted(location, destination.proposes)
        new = [each for each in wanted if each not in proposed]
        if len(proposed) + len(new) > MAX_CONTEXTS:
            yield _batch(proposed, members)
            proposed, members, new = {}, [], wanted
        proposed.update(dict.fromkeys(new))
        members.append(location)
    if members:
        yield _batch(proposed, members)


def _profiled(profile: AssociationProfile, members: tuple[Location, ...]) -> Batch:
    """All instances, by the contexts, roles and extended negotiation of a profile."""
    contexts = (
        ProposedContext(2 * number + 1, each.sop_class, each.transfer_syntaxes)
        for number, each in enumerate(profile.contexts)
    )
    return Batch(
        tuple(contexts),
        members,
        tuple(Role(each.sop_class, each.is_scu, each.is_scp) for each in profile.roles),
        tuple(ExtendedNegotiation(each.sop_class, each.information) for each in profile.extensions),
    )


def _wanted(location: Location, proposes: str | None) -> list[tuple[str, tuple[str, ...]]]:
    """The presentation contexts that an instance is to be sent on: abstract syntax and transfer syntaxes."""
    if proposes is not None:
        return [(location.sop_class_uid, PROPOSE[proposes])]
    stored = (location.sop_class_uid, (location.transfer_syntax_uid,))
    is_convertible = location.transfer_syntax_uid in convert.CONVERTIBLE
    return [stored, (location.sop_class_uid, _FALLBACKS)] if is_convertible else [stored]


def _batch(proposed: Iterable[tuple[str, tuple[str, ...]]], members: Iterable[Location]) -> Batch:
    contexts = (
        ProposedContext(2 * number + 1, abstract_syntax, transfer_syntaxes)
        for number, (abstract_syntax, transfer_syntaxes) in enumerate(proposed)
    )
    return Batch(tuple(contexts), tuple(members))

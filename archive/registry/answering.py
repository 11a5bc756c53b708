"""How one of our AE titles answers, whoever calls: what it negotiates, waits for, checks, and writes its answers in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from archive.dicom import charset
from archive.dicom.transfer_syntax_presets import ACCEPT, PROPOSE
from archive.errors import Misconfigured
from archive.query.character_sets import AS_ASKED, CharacterSetPolicy
from archive.query.model import Operation
from archive.registry.acceptance import BOTH_ROLES, RANKS, SCU_ONLY, Acceptance
from archive.registry.association_profiles import AssociationProfile


@dataclass(frozen=True, slots=True)
class Answering:
    """The settings of a title that are not about access; None is what the service has."""

    accepts: str = "held"
    """Transfer syntaxes, best first: a key of `transfer_syntax_presets.ACCEPT`."""
    profile: Acceptance | None = None
    """Replaces `accepts` for what is stored, and for the services that it names."""
    max_pdu_bytes: int | None = None
    dimse_timeout_seconds: int | None = None
    """0 is without limit, here and below."""
    idle_timeout_seconds: int | None = None
    strict_find: bool = False
    strict_move: bool = False
    """Of C-GET as well."""
    character_sets: CharacterSetPolicy = AS_ASKED

    def is_strict(self, operation: Operation) -> bool:
        """Whether identifiers of this operation must keep to the hierarchy."""
        return self.strict_find if operation is Operation.FIND else self.strict_move

    def ranks(self, abstract_syntax: str, *, is_stored: bool) -> Mapping[str, int] | None:
        """The transfer syntaxes that are accepted for it, with their place in the order; None: it is not accepted.

        `is_stored` tells storage classes from the other services, which a title has also where its profile does not
        name them, as dcmqrscp does.
        """
        if self.profile is None:
            return RANKS[self.accepts]
        return self.profile.ranks.get(abstract_syntax, None if is_stored else RANKS[self.accepts])

    def roles(self, sop_class_uid: str) -> tuple[bool, bool]:
        """Whether a requestor may be SCU, and SCP, of a SOP Class."""
        return BOTH_ROLES if self.profile is None else self.profile.roles.get(sop_class_uid, SCU_ONLY)


AS_THE_SERVICE = Answering()


def read(row: Row[Any], profiles: Mapping[int, AssociationProfile]) -> Answering:
    """The settings of a row of ae_titles; `profiles` by their keys."""
    return Answering(
        accepts=row.accepts,
        profile=None if row.profile_pk is None else Acceptance.of(profiles[row.profile_pk]),
        max_pdu_bytes=row.max_pdu_bytes,
        dimse_timeout_seconds=row.dimse_timeout_seconds,
        idle_timeout_seconds=row.idle_timeout_seconds,
        strict_find=row.strict_find,
        strict_move=row.strict_move,
        character_sets=CharacterSetPolicy(
            configured=tuple(row.character_set.split("\\")) if row.character_set else (),
            overrides=row.character_set_overrides,
            falls_back=row.character_set_falls_back,
            transliterates=row.character_set_transliterates,
            discards=row.character_set_discards,
        ),
    )


def require(values: Mapping[str, Any]) -> None:
    """Columns of ae_titles or peers that are to be written; raises Misconfigured."""
    for column, presets in (("accepts", ACCEPT), ("proposes", PROPOSE)):
        if values.get(column) is not None and values[column] not in presets:
            raise Misconfigured(
                f"There is no such preset of transfer syntaxes; there are {', '.join(presets)}", got=values[column]
            )
    for term in (values.get("character_set") or "").split("\\"):
        if not charset.is_known(term):
            raise Misconfigured(
                "This is not a Specific Character Set; write for instance 'ISO_IR 100', or nothing for ASCII", got=term
            )

"""What an acceptor takes, by a preset of transfer syntaxes or by an association profile; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from archive.dicom.transfer_syntax_presets import ACCEPT
from archive.registry.association_profiles import AssociationProfile

# Roles of a requestor (PS3.7 D.3.3.4): as SCU and as SCP.
SCU_ONLY = (True, False)
BOTH_ROLES = (True, True)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What an association profile lets an acceptor take."""

    name: str
    ranks: Mapping[str, Mapping[str, int]]
    """The transfer syntaxes of each abstract syntax, with their place in the order of preference."""
    roles: Mapping[str, tuple[bool, bool]]
    """The roles of a requestor, as SCU and as SCP, where they are not the default ones."""
    extensions: Mapping[str, bytes]
    """The service class application information of a SOP Class."""

    @classmethod
    def of(cls, profile: AssociationProfile) -> Self:
        return cls(
            profile.name,
            {each.sop_class: _ranked(each.transfer_syntaxes) for each in profile.contexts},
            {each.sop_class: (each.is_scu, each.is_scp) for each in profile.roles},
            {each.sop_class: each.information for each in profile.extensions},
        )


def _ranked(transfer_syntaxes: tuple[str, ...]) -> Mapping[str, int]:
    return {syntax: rank for rank, syntax in reversed(tuple(enumerate(transfer_syntaxes)))}  # the first place counts


RANKS = {preset: _ranked(syntaxes) for preset, syntaxes in ACCEPT.items()}
"""The transfer syntaxes of each preset, with their place in the order of preference."""

"""One frozen dataclass per DIMSE message (PS3.7 sections 9.1 and 9.3); no bytes.

Attributes are spelt as the keywords of PS3.7 annex E. Whether a data set follows is known to the exchange, not to the
command. `status` of a response is a plain number: `status.py` names the known ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

MEDIUM, HIGH, LOW = 0, 1, 2  # Priority (0000,0700)
ERROR_COMMENT_MAX_CHARS = 64  # VR LO of (0000,0902)


class CommandField(IntEnum):
    """Command Field (0000,0100), PS3.7 table E.1-1; a response is its request with bit 15 set."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    C_CANCEL_RQ = 0x0FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What every response carries; `error_comment` is cut to 64 characters on the wire."""

    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    error_comment: str = ""
    offending_elements: tuple[int, ...] = ()  # tags as 32-bit numbers, (0000,0901)


@dataclass(frozen=True, slots=True, kw_only=True)
class CEchoResponse(Response):
    """C-ECHO-RSP (PS3.7 table 9.3-13)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CStoreResponse(Response):
    """C-STORE-RSP (PS3.7 table 9.3-2)."""

    affected_sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CFindResponse(Response):
    """C-FIND-RSP (PS3.7 table 9.3-4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOperationsResponse(Response):
    """What C-GET-RSP and C-MOVE-RSP share: the counts of sub-operations; None = not said."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CGetResponse(SubOperationsResponse):
    """C-GET-RSP (PS3.7 table 9.3-7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CMoveResponse(SubOperationsResponse):
    """C-MOVE-RSP (PS3.7 table 9.3-10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrecognizedResponse(Response):
    """A response to a command that this archive does not know, as 0211 Unrecognized Operation asks for one."""

    command_field: int
    affected_sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CEchoRequest:
    """C-ECHO-RQ (PS3.7 table 9.3-12)."""

    message_id: int
    affected_sop_class_uid: str

    def answer(self, status: int, *, error_comment: str = "", offending_elements: Sequence[int] = ()) -> CEchoResponse:
        """The response to this request."""
        return CEchoResponse(
            message_id_being_responded_to=self.message_id,
            status=status,
            affected_sop_class_uid=self.affected_sop_class_uid,
            error_comment=error_comment,
            offending_elements=tuple(offending_elements),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CStoreRequest:
    """C-STORE-RQ (PS3.7 table 9.3-1); the move originator is there when it is a sub-operation of a C-MOVE."""

    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    priority: int = MEDIUM
    move_originator_ae_title: str | None = None
    move_originator_message_id: int | None = None

    def answer(self, status: int, *, error_comment: str = "", offending_elements: Sequence[int] = ()) -> CStoreResponse:
        """The response to this request."""
        return CStoreResponse(
            message_id_being_responded_to=self.message_id,
            status=status,
            affected_sop_class_uid=self.affected_sop_class_uid,
            affected_sop_instance_uid=self.affected_sop_instance_uid,
            error_comment=error_comment,
            offending_elements=tuple(offending_elements),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CFindRequest:
    """C-FIND-RQ (PS3.7 table 9.3-3)."""

    message_id: int
    affected_sop_class_uid: str
    priority: int = MEDIUM

    def answer(self, status: int, *, error_comment: str = "", offending_elements: Sequence[int] = ()) -> CFindResponse:
        """One of the responses to this request."""
        return CFindResponse(
            message_id_being_responded_to=self.message_id,
            status=status,
            affected_sop_class_uid=self.affected_sop_class_uid,
            error_comment=error_comment,
            offending_elements=tuple(offending_elements),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CGetRequest:
    """C-GET-RQ (PS3.7 table 9.3-6)."""

    message_id: int
    affected_sop_class_uid: str
    priority: int = MEDIUM

    def answer(
        self,
        status: int,
        *,
        remaining: int | None = None,
        completed: int | None = None,
        failed: int | None = None,
        warning: int | None = None,
        error_comment: str = "",
        offending_elements: Sequence[int] = (),
    ) -> CGetResponse:
        """One of the responses to this request."""
        return CGetResponse(
            message_id_being_responded_to=self.message_id,
            status=status,
            affected_sop_class_uid=self.affected_sop_class_uid,
            remaining=remaining,
            completed=completed,
            failed=failed,
            warning=warning,
            error_comment=error_comment,
            offending_elements=tuple(offending_elements),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CMoveRequest:
    """C-MOVE-RQ (PS3.7 table 9.3-9)."""

    message_id: int
    affected_sop_class_uid: str
    move_destination: str
    priority: int = MEDIUM

    def answer(
        self,
        status: int,
        *,
        remaining: int | None = None,
        completed: int | None = None,
        failed: int | None = None,
        warning: int | None = None,
        error_comment: str = "",
        offending_elements: Sequence[int] = (),
    ) -> CMoveResponse:
        """One of the responses to this request."""
        return CMoveResponse(
            message_id_being_responded_to=self.message_id,
            status=status,
            affected_sop_class_uid=self.affected_sop_class_uid,
            remaining=remaining,
            completed=completed,
            failed=failed,
            warning=warning,
            error_comment=error_comment,
            offending_elements=tuple(offending_elements),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CCancelRequest:
    """C-CANCEL-FIND-RQ, C-CANCEL-GET-RQ and C-CANCEL-MOVE-RQ, which are one (PS3.7 9.3.2.3)."""

    message_id_being_responded_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrecognizedRequest:
    """A request that this archive does not know: a DIMSE-N one, or nothing of PS3.7 at all."""

    command_field: int
    message_id: int
    sop_class_uid: str = ""  # affected or requested, whichever it has
    sop_instance_uid: str = ""

    def answer(
        self, status: int, *, error_comment: str = "", offending_elements: Sequence[int] = ()
    ) -> UnrecognizedResponse:
        """The response to this request, for 0211 Unrecognized Operation and its like."""
        return UnrecognizedResponse(
            command_field=self.command_field | 0x8000,
            message_id_being_responded_to=self.message_id,
            status=status,
            affected_sop_class_uid=self.sop_class_uid,
            affected_sop_instance_uid=self.sop_instance_uid,
            error_comment=error_comment,
            offending_elements=tuple(offending_elements),
        )


Request: TypeAlias = CEchoRequest | CStoreRequest | CFindRequest | CGetRequest | CMoveRequest | UnrecognizedRequest
Command: TypeAlias = Request | CCancelRequest | Response

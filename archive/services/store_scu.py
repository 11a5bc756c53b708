"""Send instances as an SCU of the storage service: what is proposed for them, and the C-STORE of each (PS3.4 annex B).

What is proposed follows DCMTK: for each SOP Class one presentation context with the preferred transfer syntax and one
with the others. What needs more contexts than an association has is split over several.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from archive.dicom import convert, uids
from archive.dimse.commands import CStoreRequest, CStoreResponse
from archive.dimse.exchange import Exchange
from archive.errors import CannotConvert, NoContext, UnexpectedCommand
from archive.storage.outgoing import PIECE_BYTES, Encoding, Outgoing
from archive.upper_layer.proposal import Context, ExtendedNegotiation, ProposedContext, Role
from archive.upper_layer.states import State

# A presentation context ID is odd and one byte (PS3.8 9.3.2.2).
MAX_CONTEXTS = 128

_ROOT = "1.2.840.10008.5.1.4.1.1."

# What DCMTK 3.6.7 proposes when it is not told to look into the files first, in its order: 64, as each takes two
# contexts of the 128.
USUAL_SOP_CLASSES = tuple(
    _ROOT + below
    for below in (
        *("9.1.3", "88.11", "9.4.1", "11.4", "9.3.1", "88.65", "88.69", "11.2", "88.33", "1", "2", "1.3", "1.3.1"),
        *("1.2", "1.2.1", "1.1", "1.1.1", "104.1", "2.1", "4.1", "88.22", "12.1.1", "12.2.1", "9.1.2", "11.1"),
        *("9.2.1", "88.59", "88.50", "4", "4.2", "7.2", "7.3", "7.1", "7.4", "20", "77.1.5.2", "77.1.5.1"),
        *("77.1.5.4", "128", "88.40", "11.3", "66", "67", "481.4", "481.6", "481.2", "481.1", "481.5", "481.3"),
        *("481.7", "7", "66.2", "66.1", "77.1.5.3", "9.1.1", "6.1", "3.1", "77.1.1", "77.1.2", "77.1.4", "77.1.3"),
        *("12.1", "88.67", "12.2"),
    )
)

# Where a peer does not take the transfer syntax of a file: any explicit one in the order of its contexts, then this.
_EXPLICIT = (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN)


# What is proposed


@dataclass(frozen=True, slots=True)
class Terms:
    """What an association is asked for."""

    contexts: tuple[ProposedContext, ...]
    roles: tuple[Role, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()


def syntax_lists(transfer_syntaxes: Sequence[str], *, is_combined: bool) -> tuple[tuple[str, ...], ...]:
    """The transfer syntaxes of each context that a SOP Class is proposed in; the first one is the preferred one."""
    preferred, others = tuple(transfer_syntaxes[:1]), tuple(transfer_syntaxes[1:])
    return (preferred, others) if others and not is_combined else ((*preferred, *others),)


def portions(
    sop_classes: Iterable[str], lists: Sequence[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], tuple[ProposedContext, ...]]]:
    """SOP Classes, each once and as many as an association can carry; and what is proposed for them."""
    waiting = list(dict.fromkeys(sop_classes))
    most = MAX_CONTEXTS // len(lists)
    for first in range(0, len(waiting), most):
        portion = tuple(waiting[first : first + most])
        wanted = [(sop_class, syntaxes) for sop_class in portion for syntaxes in lists]
        yield (
            portion,
            tuple(
                ProposedContext(2 * number + 1, sop_class, syntaxes)
                for number, (sop_class, syntaxes) in enumerate(wanted)
            ),
        )


# What is sent


class Sender:
    """Sends instances over one association, one at a time: `begin`, then `finish`."""

    def __init__(self, exchange: Exchange, encoding: Encoding, *, prefers_deflated: bool = False) -> None:
        """`prefers_deflated`: uncompressed data sets are sent deflated where the peer takes that."""
        self._exchange = exchange
        self._encoding = encoding
        self._prefers_deflated = prefers_deflated
        self._buffer = memoryview(bytearray(PIECE_BYTES))
        self._chosen: dict[tuple[str, str], Context] = {}
        self._contexts: dict[str, list[Context]] = {}
        for context in exchange.association.contexts.values():
            if context.requestor_is_scu:
                self._contexts.setdefault(context.abstract_syntax, []).append(context)

    def context_for(self, sop_class_uid: str, transfer_syntax_uid: str) -> Context:
        """Where to send an instance: in its transfer syntax, or one it can be converted to. Raises CannotConvert."""
        kind = sop_class_uid, transfer_syntax_uid
        found = self._chosen.get(kind)
        if found is None:
            found = self._chosen[kind] = self._choose(sop_class_uid, transfer_syntax_uid)
        return found

    def _choose(self, sop_class_uid: str, transfer_syntax_uid: str) -> Context:
        of_class = self._contexts.get(sop_class_uid)
        if not of_class:
            raise NoContext(sop_class_uid=sop_class_uid)
        by_syntax = {context.transfer_syntax: context for context in reversed(of_class)}
        is_convertible = transfer_syntax_uid in convert.CONVERTIBLE
        if self._prefers_deflated and is_convertible and uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN in by_syntax:
            return by_syntax[uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]
        if found := by_syntax.get(transfer_syntax_uid):
            return found
        if is_convertible:
            for context in of_class:
                if context.transfer_syntax in _EXPLICIT:
                    return context
            for context in (by_syntax.get(uids.IMPLICIT_VR_LITTLE_ENDIAN), *of_class):
                if context is not None and context.transfer_syntax in convert.CONVERTIBLE:
                    return context
        raise CannotConvert(source=transfer_syntax_uid, target=of_class[0].transfer_syntax)

    @property
    def is_usable(self) -> bool:
        """False once the association has ended: a data set that could not be read to its end takes it along."""
        return self._exchange.association.state is not State.ENDED

    def next_message_id(self) -> int:
        """A message ID for `begin`."""
        return self._exchange.next_message_id()

    def begin(self, outgoing: Outgoing, context: Context, message_id: int) -> None:
        """Send the request and the data set. Raises as `Outgoing.data_set`, and PeerError.

        When the data set fails to come to its end, the association is over.
        """
        data_set = outgoing.data_set(context.transfer_syntax, self._encoding, self._buffer)
        request = CStoreRequest(
            message_id=message_id,
            affected_sop_class_uid=outgoing.sop_class_uid,
            affected_sop_instance_uid=outgoing.sop_instance_uid,
        )
        self._exchange.send(context, request, data_set)

    def finish(self, message_id: int) -> CStoreResponse:
        """The response to the request begun last; raises PeerError."""
        command = self._exchange.receive_response(message_id).command
        if isinstance(command, CStoreResponse):
            return command
        error = UnexpectedCommand(command=type(command).__name__)
        self._exchange.association.end_because(error)
        raise error

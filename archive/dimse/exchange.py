"""DIMSE messages over an association: receive, data set fragments, respond, request, cancelled (PS3.7 section 8 and 9).

Both sides of every service use it: an SCP receives and responds, an SCU requests, and in a C-GET each does both on
one association. Data sets are streams of fragments that lie in the association's one buffer. A peer that breaks the
protocol is told by an abort before the PeerError is raised; after it nothing can be exchanged any more.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, cast

from archive.dimse import command_set, status
from archive.dimse.command_set import COMMAND_SET_LIMIT_BYTES
from archive.dimse.commands import CCancelRequest, Command, Request, Response
from archive.errors import ConnectionLost, IdentifierTooLarge, MalformedCommand, PeerError, UnexpectedCommand
from archive.upper_layer import pdata
from archive.upper_layer.association import Association
from archive.upper_layer.connection import Buffer, Deadline
from archive.upper_layer.pdata import Fragment
from archive.upper_layer.proposal import Context

log = logging.getLogger(__name__)

# A data set has to bring this much in each `dimse` period: one that brings less is a peer that holds a thread.
PROGRESS_BYTES = 65536

DataSet = Buffer | Iterable[Buffer]


@dataclass(frozen=True, slots=True)
class Message:
    """A command that was received, on which context, and whether a data set follows it."""

    context: Context
    command: Command
    has_data_set: bool


class Exchange:
    """The messages of one association; used by the thread that owns it."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self._contexts = association.contexts
        self._dimse_seconds = association.timeouts.dimse
        self._incoming: int | None = None  # context ID of the data set that is not read to its end
        self._forgone: int | None = None  # context ID of one that is announced, and not believed in
        self._last: Message | None = None
        self._open: dict[int, int] = {}  # message ID of the peer's requests that are not answered in full -> context ID
        self._cancelled: set[int] = set()
        self._message_id = 0
        self.data_set_bytes = 0  # received so far; whoever wants to know of one message sets it back
        self.answered: Response | None = None  # the response sent last
        self._shows_messages = log.isEnabledFor(logging.DEBUG)  # asked once: most logs have no room for them

    # Receiving

    @property
    def context(self) -> Context:
        """The presentation context of the message received last."""
        if self._last is None:
            raise LookupError("no message was received yet")
        return self._last.context

    def receive(self) -> Message | None:
        """The next command of the peer, waited for as long as the association may be idle; None = it released.

        What is left of the data set before is skipped. A C-CANCEL whose operation is over asks for nothing and is
        skipped too.
        """
        while True:
            self.skip_data_set()
            self.association.wait_until_busy()
            message = self._next_message(Deadline.after(self._dimse_seconds))
            if message is None or not isinstance(message.command, CCancelRequest):
                return message

    def _next_message(self, deadline: Deadline) -> Message | None:
        """The next command set; `deadline` is for all of it. None when the peer released instead."""
        fragment = self.association.next_fragment(deadline)
        forgone, self._forgone = self._forgone, None
        if fragment is not None and not fragment.is_command and fragment.context_id == forgone:
            while not fragment.is_last:
                fragment = self._next_inside(fragment.context_id, deadline, is_command=False)
            self.association.wait_for_response()
            return self._next_message(Deadline.after(self._dimse_seconds))
        if fragment is None:
            return None
        context_id = fragment.context_id
        if not fragment.is_command:
            self._fail(UnexpectedCommand("A data set came where a command set must.", context_id=context_id))
        encoded = bytes(fragment.content)
        if not fragment.is_last:
            encoded = self._rest_of_command_set(fragment, deadline)
        try:
            decoded = command_set.decode(encoded)
        except MalformedCommand as error:
            self._fail(error)
        message = Message(self._contexts[context_id], decoded.command, decoded.has_data_set)
        if self._shows_messages:
            _show(decoded.command, context_id, has_data_set=decoded.has_data_set, is_incoming=True)
        if decoded.has_data_set:
            self._incoming = context_id
        self._note(message)
        return message

    def _rest_of_command_set(self, first: Fragment, deadline: Deadline) -> bytes:
        encoded = bytearray(first.content)
        is_last = False
        while not is_last:
            fragment = self._next_inside(first.context_id, deadline, is_command=True)
            encoded += fragment.content
            is_last = fragment.is_last
            if len(encoded) > COMMAND_SET_LIMIT_BYTES:
                self._fail(MalformedCommand("A command set is too long.", limit_bytes=COMMAND_SET_LIMIT_BYTES))
        return bytes(encoded)

    def _next_inside(self, context_id: int, deadline: Deadline, *, is_command: bool) -> Fragment:
        """The next fragment of a message that has begun."""
        fragment = self.association.next_fragment(deadline)
        if fragment is None:
            raise ConnectionLost("The peer released the association inside a message.")
        if fragment.is_command is not is_command or fragment.context_id != context_id:
            self._fail(
                UnexpectedCommand("A fragment of another message came inside one.", context_id=fragment.context_id)
            )
        return fragment

    def _note(self, message: Message) -> None:
        """Remember what answers will need."""
        command = message.command
        if isinstance(command, CCancelRequest):
            if command.message_id_being_responded_to in self._open:
                self._cancelled.add(command.message_id_being_responded_to)
            return
        self._last = message
        if not isinstance(command, Response):
            if command.message_id in self._open:  # asynchronous operations are 1/1 and IDs unique among them
                self._fail(UnexpectedCommand("A message ID is in use.", message_id=command.message_id))
            self._open[command.message_id] = message.context.context_id
            self._cancelled.discard(command.message_id)

    def data_set(self) -> Iterator[memoryview]:
        """The fragments of the data set of the message received last; each is dead at the next turn."""
        context_id = self._incoming
        deadline = Deadline.after(self._dimse_seconds)
        received_bytes = 0
        while context_id is not None and self._incoming == context_id:
            fragment = self._next_inside(context_id, deadline, is_command=False)
            if fragment.is_last:
                self._incoming = None
            fragment_bytes = len(fragment.content)
            self.data_set_bytes += fragment_bytes
            received_bytes += fragment_bytes
            if received_bytes >= PROGRESS_BYTES:
                received_bytes = 0
                deadline = Deadline.after(self._dimse_seconds)
            given_at = time.monotonic()
            yield fragment.content
            if fragment.is_last:
                return
            deadline = deadline.put_off(time.monotonic() - given_at)  # our disk's time is not the peer's

    def read_data_set(self, limit_bytes: int) -> bytes:
        """The whole data set of the message received last, for identifiers; IdentifierTooLarge over the limit."""
        content = bytearray()
        for fragment in self.data_set():
            content += fragment
            if len(content) > limit_bytes:
                self.skip_data_set()
                raise IdentifierTooLarge(limit_bytes=limit_bytes)
        return bytes(content)

    def skip_data_set(self) -> None:
        """Read what is left of the data set, to stay in step with the peer."""
        if self._incoming is not None:
            for _ in self.data_set():
                pass

    def forgo_data_set(self) -> None:
        """Do not wait for the data set of the message received last, as it may not come; if it does, it is dropped."""
        self._forgone, self._incoming = self._incoming, None

    def cancelled(self, message_id: int) -> bool:
        """Whether the peer cancelled its request; looks at what has arrived and never waits for more.

        Anything but a C-CANCEL is not allowed while a request is open and raises PeerError.
        """
        while self.association.fragment_waiting():
            message = self._next_message(Deadline.after(self._dimse_seconds))
            if message is None:
                raise ConnectionLost("The peer released the association while its request was open.")
            if not isinstance(message.command, CCancelRequest):
                self._fail(UnexpectedCommand(command=type(message.command).__name__))
        return message_id in self._cancelled

    # Sending

    def next_message_id(self) -> int:
        """A message ID for a request of ours: 1 to 65535, then anew."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def send(self, context: Context, command: Command, data_set: DataSet | None = None) -> None:
        """Send a message. A data set is whole, or comes in pieces; a MiB a piece makes the best of a system call.

        A piece must live until the next one is asked for. When the pieces fail to come the association is aborted,
        because the peer waits for bytes that nobody has, and the error passes on.
        """
        self._send(context.context_id, command, data_set)

    def _send(self, context_id: int, command: Command, data_set: DataSet | None) -> None:
        if data_set is None or isinstance(data_set, bytes | bytearray | memoryview):
            self.association.send(self._pdus(context_id, command, cast("Buffer | None", data_set)))
            return
        fragment_bytes = self.association.fragment_bytes
        buffers = self._pdus(context_id, command, None, has_data_set=True)
        try:
            for gathered in pdata.stream(context_id, data_set, fragment_bytes=fragment_bytes):
                self.association.send(buffers + gathered if buffers else gathered)
                buffers = []
        except PeerError:
            raise
        except BaseException:
            self.association.abort()
            raise

    def _pdus(
        self, context_id: int, command: Command, data_set: Buffer | None, *, has_data_set: bool = False
    ) -> list[Buffer]:
        size = self.association.fragment_bytes
        has_data_set = has_data_set or data_set is not None
        if self._shows_messages:
            _show(command, context_id, has_data_set=has_data_set, is_incoming=False)
        encoded = command_set.encode(command, has_data_set=has_data_set)
        buffers = pdata.whole(context_id, encoded, is_command=True, fragment_bytes=size)
        if data_set is not None:
            buffers += pdata.whole(context_id, data_set, is_command=False, fragment_bytes=size)
        return buffers

    def respond(self, response: Response, data_set: DataSet | None = None) -> None:
        """Answer the peer's request that `response` names, on the context it came on.

        What is left of a data set is read first: an answer to half a request would put the two sides out of step.
        """
        self.skip_data_set()
        self._send(self._answer_context(response), response, data_set)
        self.answered = response

    def respond_many(self, responses: Sequence[tuple[Response, Buffer | None]]) -> None:
        """Answer with several responses in as few system calls as they take."""
        self.skip_data_set()
        buffers: list[Buffer] = []
        for response, data_set in responses:
            buffers += self._pdus(self._answer_context(response), response, data_set)
        self.association.send(buffers)
        self.answered = responses[-1][0]

    def _answer_context(self, response: Response) -> int:
        """Where the request came in; a final response closes it."""
        message_id = response.message_id_being_responded_to
        try:
            if status.is_pending(response.status):
                return self._open[message_id]
            self._cancelled.discard(message_id)
            return self._open.pop(message_id)
        except KeyError:
            raise LookupError(f"the peer has no open request with message ID {message_id}") from None

    # Requesting

    def request(self, context: Context, command: Request, data_set: DataSet | None = None) -> Iterator[Message]:
        """Send a request and yield its responses up to the final one, and the peer's sub-operations among them.

        In a C-GET the peer's C-STORE-RQs come as messages too: read their data set and `respond` before the next
        turn. Each response has `timeouts.response` to begin.
        """
        self.send(context, command, data_set)
        while True:
            message = self.receive_response(command.message_id)
            yield message
            answer = message.command
            if isinstance(answer, Response) and not status.is_pending(answer.status):
                return

    def ask(self, context: Context, command: Request, data_set: DataSet | None = None) -> Response:
        """Send a request that has one response and no sub-operations, as C-STORE and C-ECHO, and return the response.

        A C-CANCEL that the peer sends meanwhile, in a C-GET it asked for, is what `cancelled` tells.
        """
        self.send(context, command, data_set)
        message = self.receive_response(command.message_id)
        if not isinstance(message.command, Response):
            self._fail(UnexpectedCommand("A request came where a response must.", message_id=command.message_id))
        return message.command

    def receive_response(self, message_id: int) -> Message:
        """The next response to our request, or a request the peer makes meanwhile; cancels are noted on the way."""
        while True:
            self.skip_data_set()
            self.association.wait_for_response()
            message = self._next_message(Deadline.after(self._dimse_seconds))
            if message is None:
                raise ConnectionLost("The peer released the association instead of a response.")
            command = message.command
            if isinstance(command, Response) and command.message_id_being_responded_to != message_id:
                self._fail(UnexpectedCommand(message_id_being_responded_to=command.message_id_being_responded_to))
            if not isinstance(command, CCancelRequest):
                return message

    def _fail(self, error: PeerError) -> NoReturn:
        """Tell the peer, and raise."""
        self.association.end_because(error)
        raise error


def _show(command: Command, context_id: int, *, has_data_set: bool, is_incoming: bool) -> None:
    """For who looks for a fault: the message, field by field."""
    from archive.dimse import dump  # few logs have room for it

    first, *below = dump.lines(command, context_id=context_id, has_data_set=has_data_set, is_incoming=is_incoming)
    log.debug("%s", first, extra={"below": below})

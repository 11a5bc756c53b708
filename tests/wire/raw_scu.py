"""A requestor written from PS3.7 and PS3.8, so that a test decides about every byte that is sent.

Shares no code with the archive. It checks nothing for its caller: what it sends may be as wrong as a test wants.
"""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.wire.raw_messages import (
    CANCEL_RQ,
    DATA,
    ECHO_RQ,
    FIND_RQ,
    GET_RQ,
    LAST_COMMAND,
    LAST_DATA,
    MOVE_RQ,
    NO_DATA_SET,
    SECONDS,
    STORE_RQ,
    VERIFICATION,
    Ended,
    Message,
    Proposed,
    Rejected,
    associate_rq,
    command_set,
    pdu,
    pdv,
    split_elements,
    split_items,
    split_pdvs,
)


@dataclass(frozen=True)
class Accepted:
    """A presentation context that was accepted."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass
class Got:
    """What a C-GET brought: its responses and the data sets, by SOP Instance UID."""

    responses: list[Message] = field(default_factory=list)
    requests: list[Message] = field(default_factory=list)
    data_sets: dict[str, bytes] = field(default_factory=dict)

    @property
    def final(self) -> Message:
        """The last response."""
        return self.responses[-1]


class RawScu:
    """A connection to the archive; `associate` it, or send what you like. A context: closes at the end."""

    _held_back: bytearray | None = None  # by `said_at_once`

    def __init__(self, port: int, *, receive_buffer_bytes: int | None = None, source: str = "") -> None:
        self.socket = socket.socket()
        if source:
            self.socket.bind((source, 0))
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(SECONDS)
        self.connected_at = time.monotonic()  # or a little later
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted: list[Accepted] = []
        self.results: dict[str, list[int]] = {}  # of every proposed context, by abstract syntax
        self.roles: dict[str, tuple[int, int]] = {}
        self.extended: dict[str, bytes] = {}
        self.peer_max_pdu_bytes = 0
        self.largest_pdu_bytes = 0  # of what came in
        self._last_id = 0
        self._pdvs: list[tuple[int, int, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    # Upper layer

    def says(self, *content: bytes) -> Self:
        """Send bytes as they are."""
        if self._held_back is None:
            self.socket.sendall(b"".join(content))
        else:
            self._held_back += b"".join(content)
        return self

    @contextmanager
    def said_at_once(self) -> Iterator[None]:
        """What is said meanwhile is sent at the end, in one piece."""
        self._held_back = bytearray()
        yield
        held_back, self._held_back = bytes(self._held_back), None
        self.says(held_back)

    def hears(self) -> tuple[int, bytes]:
        """The next PDU: type and body; raises Ended at the end of the connection."""
        header = self._exactly(6)
        length = int.from_bytes(header[2:], "big")
        self.largest_pdu_bytes = max(self.largest_pdu_bytes, length)
        return header[0], self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            try:
                some = self.socket.recv(min(count - len(content), 1 << 20))
            except ConnectionResetError:
                some = b""
            if not some:
                raise Ended
            content += some
        return bytes(content)

    def hears_end(self) -> tuple[int, int] | None:
        """Wait for the end and close: source and reason of the A-ABORT before it, or None where there was none."""
        try:
            while True:
                pdu_type, body = self.hears()
                if pdu_type == 0x07:
                    self._hears_close()
                    return body[2], body[3]
        except Ended:
            return None
        finally:
            self.socket.close()

    def _hears_close(self) -> None:
        try:
            pdu_type, _ = self.hears()
        except Ended:
            return
        raise AssertionError(f"a PDU of type {pdu_type} after the abort")

    def associate(self, contexts: Sequence[Proposed], **fields: object) -> Self:
        """Ask for an association; raises Rejected. Keywords as for `associate_rq`."""
        self.says(associate_rq(contexts, **fields))  # type: ignore[arg-type]
        pdu_type, body = self.hears()
        if pdu_type == 0x03:
            raise Rejected((body[1], body[2], body[3]))
        if pdu_type == 0x07:
            raise Ended((body[2], body[3]))
        assert pdu_type == 0x02, f"PDU of type {pdu_type}"
        self._read_answer(body, contexts)
        return self

    def _read_answer(self, body: bytes, contexts: Sequence[Proposed]) -> None:
        for item_type, content in split_items(body[68:]):
            if item_type == 0x21:
                proposed = contexts[content[0] // 2]
                self.results.setdefault(proposed.abstract_syntax, []).append(content[2])
                if content[2] == 0:
                    syntax = next(split_items(content[4:]))[1].rstrip(b"\0").decode()
                    self.accepted.append(Accepted(content[0], proposed.abstract_syntax, syntax))
            elif item_type == 0x50:
                for user_type, user in split_items(content):
                    length = int.from_bytes(user[:2], "big")
                    if user_type == 0x51:
                        self.peer_max_pdu_bytes = int.from_bytes(user, "big")
                    elif user_type == 0x54:
                        self.roles[user[2 : 2 + length].decode()] = (user[2 + length], user[3 + length])
                    elif user_type == 0x56:
                        self.extended[user[2 : 2 + length].decode()] = user[2 + length :]

    def context(self, abstract_syntax: str, transfer_syntax: str | None = None) -> Accepted:
        """The accepted context of a SOP Class, and of a transfer syntax if one is named."""
        for each in self.accepted:
            if each.abstract_syntax == abstract_syntax and transfer_syntax in (None, each.transfer_syntax):
                return each
        raise AssertionError(f"no context for {abstract_syntax} in {transfer_syntax}: {self.results}")

    def release(self) -> None:
        """Release, and see the answer and the end of the connection."""
        self.says(pdu(0x05, bytes(4)))
        assert self.hears() == (0x06, bytes(4))
        self.socket.close()

    def abort(self) -> None:
        """A-ABORT by the service user, and close."""
        self.says(pdu(0x07, bytes(4)))
        self.socket.close()

    # DIMSE

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def send_command(self, context_id: int, elements: Mapping[int, int | str | bytes]) -> None:
        """A command set in one PDV."""
        self.says(pdu(0x04, pdv(context_id, LAST_COMMAND, command_set(elements))))

    def send_data_set(self, context_id: int, data_set: bytes, *, pdv_bytes: int = 16000, pdvs_in_pdu: int = 1) -> None:
        """A data set in PDVs of so many bytes, so many of them in a PDU."""
        pieces = [data_set[at : at + pdv_bytes] for at in range(0, len(data_set), pdv_bytes)] or [b""]
        items = [pdv(context_id, DATA, piece) for piece in pieces[:-1]] + [pdv(context_id, LAST_DATA, pieces[-1])]
        pdus = [pdu(0x04, b"".join(items[at : at + pdvs_in_pdu])) for at in range(0, len(items), pdvs_in_pdu)]
        for at in range(0, len(pdus), 1000):
            self.says(*pdus[at : at + 1000])

    def receive(self) -> Message:
        """The next message; raises Ended."""
        context_id, command = self._assemble(is_command=True)
        elements = dict(split_elements(command))
        if int.from_bytes(elements[0x0800], "little") == NO_DATA_SET:
            return Message(context_id, elements)
        data_context, data_set = self._assemble(is_command=False)
        assert data_context == context_id
        return Message(context_id, elements, data_set)

    def _assemble(self, *, is_command: bool) -> tuple[int, bytes]:
        content = bytearray()
        while True:
            while not self._pdvs:
                pdu_type, body = self.hears()
                if pdu_type == 0x07:
                    raise Ended((body[2], body[3]))
                assert pdu_type == 0x04, f"PDU of type {pdu_type}"
                self._pdvs = list(split_pdvs(body))
            context_id, control, some = self._pdvs.pop(0)
            assert bool(control & 1) is is_command
            content += some
            if control & 2:
                return context_id, bytes(content)

    def echo(self) -> int:
        """C-ECHO; its status."""
        context = self.context(VERIFICATION)
        elements = {0x0002: VERIFICATION, 0x0100: ECHO_RQ, 0x0110: self.next_id(), 0x0800: NO_DATA_SET}
        self.send_command(context.context_id, elements)
        return self.receive().status

    def announce_store(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str | None = None) -> Accepted:
        """Send a C-STORE-RQ only; the context on which its data set must follow."""
        context = self.context(sop_class_uid, transfer_syntax)
        elements: dict[int, int | str | bytes] = {
            0x0002: sop_class_uid,
            0x0100: STORE_RQ,
            0x0110: self.next_id(),
            0x0700: 0,
            0x0800: 1,
            0x1000: sop_instance_uid,
        }
        self.send_command(context.context_id, elements)
        return context

    def store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        data_set: bytes,
        transfer_syntax: str | None = None,
        *,
        pdv_bytes: int = 16000,
        pdvs_in_pdu: int = 1,
    ) -> Message:
        """C-STORE of any bytes; the response."""
        context = self.announce_store(sop_class_uid, sop_instance_uid, transfer_syntax)
        self.send_data_set(context.context_id, data_set, pdv_bytes=pdv_bytes, pdvs_in_pdu=pdvs_in_pdu)
        return self.receive()

    def ask(self, sop_class_uid: str, field_: int, identifier: bytes, **more: int | str) -> int:
        """Send a C-FIND-RQ, C-GET-RQ or C-MOVE-RQ with its identifier; the message ID."""
        context = self.context(sop_class_uid)
        message_id = self.next_id()
        elements: dict[int, int | str | bytes] = {
            0x0002: sop_class_uid,
            0x0100: field_,
            0x0110: message_id,
            0x0700: more.get("priority", 0),
            0x0800: 1,
        }
        if "destination" in more:
            elements[0x0600] = more["destination"]
        self.send_command(context.context_id, elements)
        self.send_data_set(context.context_id, identifier)
        return message_id

    def cancel(self, sop_class_uid: str, message_id: int) -> None:
        """C-CANCEL-RQ (PS3.7 9.3.2.3)."""
        elements = {0x0100: CANCEL_RQ, 0x0120: message_id, 0x0800: NO_DATA_SET}
        self.send_command(self.context(sop_class_uid).context_id, elements)

    def responses(self) -> Iterator[Message]:
        """Responses up to the final one."""
        while True:
            message = self.receive()
            yield message
            if message.status not in (0xFF00, 0xFF01):
                return

    def find(self, sop_class_uid: str, identifier: bytes) -> list[Message]:
        """C-FIND; all responses."""
        self.ask(sop_class_uid, FIND_RQ, identifier)
        return list(self.responses())

    def move(self, sop_class_uid: str, identifier: bytes, destination: str, **more: int | str) -> list[Message]:
        """C-MOVE; all responses."""
        self.ask(sop_class_uid, MOVE_RQ, identifier, destination=destination, **more)
        return list(self.responses())

    def get(self, sop_class_uid: str, identifier: bytes, *, cancel_after: int | None = None, status: int = 0) -> Got:
        """C-GET; stores are answered with `status`, and after the first `cancel_after` of them it is cancelled."""
        message_id = self.ask(sop_class_uid, GET_RQ, identifier)
        got = Got()
        while True:
            message = self.receive()
            if message.number(0x0100) == STORE_RQ:
                uid = message.text(0x1000)
                got.requests.append(message)
                got.data_sets[uid] = message.data_set or b""
                if cancel_after == len(got.requests):
                    self.cancel(sop_class_uid, message_id)
                answer = {
                    0x0002: message.elements[0x0002],
                    0x0100: STORE_RQ | 0x8000,
                    0x0120: message.number(0x0110) or 0,
                    0x0800: NO_DATA_SET,
                    0x0900: status,
                    0x1000: message.elements[0x1000],
                }
                self.send_command(message.context_id, answer)
                continue
            got.responses.append(message)
            if message.status != 0xFF00:
                return got

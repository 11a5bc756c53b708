"""The one error family: every fact that can go wrong, with its values; knows no status code.

Three branches tell an edge what to do: `PeerError` (the other side broke the protocol: abort), `Refused` (understood
and declined: answer with a refusal) and `Failed` (we tried and could not: answer with a failure). The docstring of a
class is its message; values are given by keyword, become attributes and end the message. `services/failures.py`
makes DICOM statuses of them, the command line makes sentences.
"""


class ArchiveError(Exception):
    """Something went wrong in the archive."""

    def __init__(self, message: str | None = None, /, **values: object) -> None:
        self.message = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        self.values = values
        super().__init__(self.message)

    def __getattr__(self, name: str) -> object:
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __str__(self) -> str:
        if not self.values:
            return self.message
        facts = ", ".join(f"{name}={_shown(name, value)}" for name, value in self.values.items())
        return f"{self.message} ({facts})"


def _shown(name: str, value: object) -> str:
    """A value as people read it: a tag is no number to them."""
    if name == "offending_element" and isinstance(value, int):
        return f"({value >> 16:04X},{value & 0xFFFF:04X})"
    return repr(value)


# The other side broke the protocol, or went away.


class PeerError(ArchiveError):
    """The peer broke the protocol."""


class MalformedPdu(PeerError):
    """A PDU does not follow PS3.8 section 9.3."""


class PduTooLarge(MalformedPdu):
    """A PDU is larger than was announced."""


class UnrecognizedPdu(MalformedPdu):
    """A PDU has a type that PS3.8 does not know."""


class UnexpectedPdu(PeerError):
    """A PDU is not allowed in this state (PS3.8 section 9.2)."""


class MalformedCommand(PeerError):
    """A command set does not follow PS3.7 section 6.3 and annex E."""


class UnexpectedCommand(PeerError):
    """A command is not allowed at this point of the exchange."""


class UnknownContext(PeerError):
    """A fragment names a presentation context that was not accepted."""


class ConnectionLost(PeerError):
    """The connection ended without a release."""


class TlsFailed(ConnectionLost):
    """The archive and the peer cannot speak TLS with each other."""


class PeerAborted(PeerError):
    """The peer aborted the association."""


class DeadlineExpired(PeerError):
    """The peer did not answer in time."""


class AssociationRejected(PeerError):
    """The peer rejected the association."""


class CannotConnect(PeerError):
    """The peer cannot be reached."""


# We understood the request and decline it.


class Refused(ArchiveError):
    """The archive understood the request and declines it."""


class NotAuthorized(Refused):
    """The access rules do not allow this."""


class OutOfResources(Refused):
    """There is no room for the instance."""


class DuplicateInstance(Refused):
    """The area holds this SOP Instance already and rejects another."""


class DataSetMismatch(Refused):
    """The data set is not what the request announced."""


class MissingUid(DataSetMismatch):
    """The data set lacks a UID that an archive needs, or it is malformed."""


class InvalidIdentifier(Refused):
    """The identifier does not follow the information model."""


class IdentifierTooLarge(InvalidIdentifier):
    """The identifier is larger than is read into memory."""


class UnknownLevel(InvalidIdentifier):
    """The Query/Retrieve Level is not one of this information model."""


class MissingUniqueKey(InvalidIdentifier):
    """The unique key of a level is missing."""


class TooManyMatches(Refused):
    """More matches than the area hands out at a time."""


class UnknownDestination(Refused):
    """The move destination is not a known peer."""


class UnsupportedSopClass(Refused):
    """The SOP Class is not supported on this presentation context."""


class Misconfigured(Refused):
    """What was asked of the configuration cannot be."""


class NotPrivileged(Misconfigured):
    """The system does not let us listen on this port."""


# We tried and could not.


class Failed(ArchiveError):
    """The archive could not do what was asked."""


class UnreadableDataSet(Failed):
    """The data set cannot be read."""


class NotDicom(UnreadableDataSet):
    """This is not a DICOM file."""


class Unsortable(UnreadableDataSet):
    """The instance cannot be sorted into a folder."""


class UnreadableFile(Failed):
    """A stored file cannot be read."""


class CannotConvert(Failed):
    """The instance cannot be converted to a transfer syntax that the peer accepts."""


class NoContext(CannotConvert):
    """The peer takes no instances of this SOP Class."""


class DiskFailed(Failed):
    """The storage area cannot be written."""


class DatabaseFailed(Failed):
    """The database cannot be used."""


class SchemaOutOfDate(Failed):
    """The database schema is not the one this version needs."""

"""Read a file that the administrator names, and never more of it than such a file may have."""

from pathlib import Path

from archive.errors import Misconfigured

# Far more than any configuration file: a dcmqrscp.cfg of thousands of peers has some hundred KB.
MOST_BYTES = 16 << 20


def read_file(file: Path) -> bytes:
    """All of a configuration file; raises Misconfigured where it cannot be read or has more than MOST_BYTES."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise Misconfigured("The file cannot be read", path=str(file), reason=error.strerror) from error
    if len(content) > MOST_BYTES:
        raise Misconfigured(f"The file has more than {MOST_BYTES} bytes; name a configuration file", path=str(file))
    return content

"""The commands that are faces of DCMTK's programs: they speak for themselves, and need nothing of the others.

Scripts start them again and again, so nothing is imported for them that they do not need; click takes as long as they.
"""

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archive.cli.dcmtk.face import Face

# By their words: where the code lies, and one line of help.
FACES: dict[str, tuple[str, str]] = {
    "dcmqrscp": ("archive.cli.dcmtk.dcmqrscp:dcmqrscp", "As DCMTK's dcmqrscp, with its configuration file."),
    "storescp": ("archive.cli.dcmtk.storescp_options:storescp", "As DCMTK's storescp: receive into a folder."),
    "dcmrecv": ("archive.cli.dcmtk.dcmrecv_options:dcmrecv", "As DCMTK's dcmrecv: receive into a folder."),
    "echoscu": ("archive.cli.dcmtk.echoscu_options:echoscu", "As DCMTK's echoscu: ask whether a peer is there."),
    "findscu": ("archive.cli.dcmtk.findscu_options:findscu", "As DCMTK's findscu: ask a peer what it holds."),
    "movescu": ("archive.cli.dcmtk.movescu_options:movescu", "As DCMTK's movescu: have studies sent somewhere."),
    "getscu": ("archive.cli.dcmtk.getscu_options:getscu", "As DCMTK's getscu: fetch over one association."),
    "storescu": ("archive.cli.dcmtk.storescu_options:storescu", "As DCMTK's storescu: send files to a peer."),
}


def load(name: str) -> "Face":
    """The face of a program."""
    return imported(FACES[name][0])


def imported(where: str) -> Any:
    """What a command is, by its `module:attribute`.

    What an import makes stays, so nobody looks for garbage in it, which takes a tenth longer.
    """
    module, _, attribute = where.partition(":")
    if module not in sys.modules:
        gc.disable()
        try:
            import_module(module)
        finally:
            gc.freeze()
            gc.enable()
    return getattr(sys.modules[module], attribute)

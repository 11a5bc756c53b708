"""The table of command lines of storescp and dcmrecv, and what is sent to them.

A row is run with DCMTK's program and with ours. To add a case is to add a row; new traffic has a name in `traffic`.
Words in capitals stand for files that the test makes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.side_by_side.traffic import names

# fmt: off
PRESETS = (
    "+x=", "+xe", "+xb", "+xs", "+xy", "+xx", "+xv", "+xw", "+xt", "+xu", "+xm", "+xh", "+xn", "+xl", "+x2", "+x3",
    "+xo", "+x4", "+x5", "+xr", "+xd", "+xi",
)
# With "+xd" instances come in each of the encodings that are written anew.
WRITING = (
    "+xd", "+xd +B", "+xd +te", "+xd +tb", "+xd +ti", "+xd +td", "+xd +td +cl 1", "+xd +g", "+xd -g", "+xd -e",
    "+xd -u", "+xd +p 512 16", "+xd -F", "+xd -F +ti", "+xd -F +B", "+xd +te +tb", "+xd +te -e +g -u", "+xd -F -e +g",
)
# For data sets of every encoding with all that can be written in another way. Without any of these, ours keeps them.
LENGTHS_AND_VRS = (
    "-B", "+B", "+te", "+tb", "+ti", "+td", "+td +cl 0", "+g=", "+g", "-g", "+e", "-e", "-p", "+p 0 0", "+p 512 16",
    "+p 512 16 -p", "-u", "-u +ti", "-u +tb", "+u -B", "+uc", "+uc -u", "+uc +te", "+uc +ti", "-uc -B", "-F +te",
    "-e +ti +g", "+te -e -g", "+p 2 2 +te -e", "-up -B", "--ignore -B",
)
# For compressed pixels, which nothing but a profile lets in where they are to be written otherwise.
COMPRESSED = ("-B", "+B", "+t= -e", "+p 512 16", "-u", "+te", "+ti", "+tb", "+td", "+te -su p", "-F +te")
# fmt: on


@dataclass(frozen=True)
class Case:
    """A command line, without the output folder and the port, and the names of what is sent to it, in this order."""

    program: str
    options: str
    traffic: Sequence[str]

    @property
    def id(self) -> str:
        return f"{self.program} {self.options}: {', '.join(self.traffic)}"


def storescp(options: str, *traffic: str) -> Case:
    return Case("storescp", options, names(*traffic))


def dcmrecv(options: str, *traffic: str) -> Case:
    """By the profile of DCMTK's own file: without one its dcmrecv accepts C-ECHO only."""
    return Case("dcmrecv", f"-xf DCMTKS Default {options}".strip(), names(*traffic))


CASES = (
    # Names of files
    storescp("", "some"),
    storescp("+B", "some"),
    storescp("", "twice"),
    storescp("+B", "twice, each alone"),
    storescp("-uf", "twice"),
    storescp("-fe .dcm", "some"),
    storescp("-fe _a;b", "some"),
    storescp("+uf", "twice"),
    storescp("+uf -fe .dcm", "some"),
    storescp("-tn", "some"),
    storescp("-tn -fe .dcm", "twice"),
    storescp("-tn", "many small"),
    storescp("-uf +uf -uf", "some"),
    storescp("", "private class"),
    storescp("-pm", "private class"),
    storescp("-pm +uf", "private class"),
    storescp("", "many small"),
    storescp("", "large"),
    storescp("+B", "large"),
    storescp("", "empty values"),
    # Folders
    storescp("-ss p", "studies in order"),
    storescp("-ss ''", "studies in order"),
    storescp("-ss p --study-order-of-dcmtk", "studies by turns"),
    storescp("-ss p --study-order-of-dcmtk", "studies by turns, each alone"),
    storescp("-su p", "studies in order"),
    storescp("-su p", "studies by turns"),
    storescp("-su ''", "studies by turns, each alone"),
    storescp("-su p", "twice"),
    storescp("-su p", "no study"),
    storescp("-ss p", "no study"),
    storescp("-sp", "no study"),
    storescp("-sp", "patients"),
    storescp("-sp", "studies in order"),
    storescp("-su p -tn", "studies by turns"),
    storescp("-ss p +uf", "studies in order"),
    storescp("-sp -fe .dcm", "patients"),
    storescp("-ss p -su q", "studies in order"),
    storescp("-su q -ss p", "studies in order"),
    # How data sets are written
    *(storescp(options, "encodings") for options in WRITING),
    storescp("-B +B", "encodings"),
    *(storescp(f"+xd {options}", "every kind of element") for options in LENGTHS_AND_VRS),
    storescp("-F -B", "every kind of element"),
    storescp("-F +uc", "every kind of element"),
    *(storescp(f"-xf PROFILES Extended {options}", "compressed") for options in COMPRESSED),
    storescp("", "padded UIDs"),
    storescp("-up", "padded UIDs"),
    storescp("--ignore", "some"),
    storescp("--ignore -su p", "no study"),
    # Which presentation contexts are accepted
    *(storescp(preset, "transfer syntaxes together", "every transfer syntax") for preset in PRESETS),
    storescp("+xa", "transfer syntaxes together"),
    storescp("+xa", "uncompressed"),
    storescp("", "uncompressed", "unknown classes"),
    storescp("-pm", "unknown classes"),
    storescp("+xb", "uncompressed"),
    storescp("+xi", "uncompressed"),
    storescp("+xs +xi", "uncompressed"),
    storescp("", "nothing to agree on"),
    storescp("", "unknown transfer syntax"),
    storescp("", "another title", "echo"),
    storescp("-aet OURS", "another title", "echo"),
    storescp("", "no implementation"),
    storescp("--reject", "no implementation", "echo"),
    storescp("--refuse", "uncompressed"),
    storescp("", "another application context"),
    storescp("", "roles"),
    storescp("", "extended"),
    storescp("-pdu 4096", "longest PDU", "one"),
    storescp("-pdu 131072", "longest PDU", "large"),
    storescp("-xf PROFILES OnlyCT", "unknown classes", "some"),
    storescp("-xf PROFILES onlyct", "every transfer syntax"),
    storescp("-xf PROFILES Extended", "extended"),
    *(
        Case(program, f"-xf PROFILES {profile}", ("roles", "role of an SCP", "role of an SCU"))
        for program in ("storescp", "dcmrecv")
        for profile in ("Both", "SCP", "SCU", "Any")
    ),
    Case("dcmrecv", "-xf PROFILES Extended", ("extended",)),
    Case("dcmrecv", "-xf PROFILES onlyct", ("every transfer syntax",)),
    Case("dcmrecv", "-xf DCMTKS AllDICOM", ("every transfer syntax",)),
    storescp("", "role of an SCP", "role of an SCU"),
    storescp("-xf DCMTKS Default", "unknown classes"),
    storescp("-xf DCMTKS AllDICOM", "every transfer syntax"),
    # Peers that go, and faults
    storescp("", "echo"),
    storescp("--abort-after", "one"),
    storescp("--abort-during", "one"),
    storescp("--sleep-after 1", "one"),
    storescp("--fork", "some", "echo"),
    storescp("--single-process", "some", "echo"),
    storescp("-dhl -ta 5 -td 5", "some"),
    # DCMTK's own clients
    storescp("", "storescu"),
    storescp("", "storescu, all contexts"),
    storescp("", "dcmsend"),
    storescp("+xa +B", "storescu"),
    storescp("--refuse", "storescu"),
    storescp("--ignore", "dcmsend"),
    # dcmrecv
    dcmrecv("", "some"),
    dcmrecv("+B", "some"),
    dcmrecv("-B", "encodings"),
    dcmrecv("-B", "every kind of element"),
    dcmrecv("+B", "every kind of element"),
    dcmrecv("+B", "padded UIDs"),
    dcmrecv("", "twice"),
    dcmrecv("+fd -fe .dcm", "some"),
    dcmrecv("+fu", "twice"),
    dcmrecv("+fu -fe .dcm", "some"),
    dcmrecv("+fsu", "some"),
    dcmrecv("+fsu -fe .dcm", "twice"),
    dcmrecv("+fst", "some"),
    dcmrecv("+fst -fe .dcm", "some"),
    dcmrecv("-s", "dates"),
    dcmrecv("+ssd", "dates"),
    dcmrecv("+ssd +fsu -fe .dcm", "dates"),
    dcmrecv("--ignore", "some"),
    dcmrecv("", "echo"),
    dcmrecv("", "nothing to agree on"),
    dcmrecv("", "uncompressed"),
    dcmrecv("", "every transfer syntax"),
    dcmrecv("", "unknown classes"),
    dcmrecv("-uca", "another title"),
    dcmrecv("-pdu 4096", "longest PDU", "one"),
    dcmrecv("", "no implementation"),
    dcmrecv("", "roles"),
    dcmrecv("", "storescu"),
    dcmrecv("", "dcmsend"),
    dcmrecv("-ta 5 -td 5 -dhl", "some"),
)

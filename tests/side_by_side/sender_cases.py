"""What DCMTK's storescu and ours are both told, line by line: options, files, and how the receiver is started."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A command line: `files` are names in the folder `FILES`, which `test_senders` makes; "." is the folder."""

    id: str
    options: str
    files: str
    receiver: str = "+xa"
    """Options of storescp, which is DCMTK's."""


CASES = [
    Case(id, options, files, *receiver)
    for id, options, files, *receiver in (
        ("as it is", "", "ct.dcm"),
        ("several files in their order", "", "ct.dcm mr.dcm sc.dcm"),
        ("implicit VR", "-xi", "implicit.dcm"),
        ("implicit VR to who prefers explicit", "", "implicit.dcm"),
        ("explicit VR to who takes implicit", "-xi", "ct.dcm"),
        ("implicit VR only", "", "ct.dcm implicit.dcm", "+xi"),
        ("big endian", "-xb", "big.dcm"),
        ("big endian to who prefers little", "", "big.dcm", "+xe"),
        ("big endian proposed for little", "-xb", "ct.dcm", "+xb"),
        ("deflated as it is", "-xd", "deflated.dcm"),
        ("deflated to who does not take it", "", "deflated.dcm"),
        ("deflated on the way", "-xd", "ct.dcm"),
        ("deflated little", "-xd +cl 1", "ct.dcm"),
        ("not deflated at all", "-xd +cl 0", "ct.dcm"),
        ("deflated where it is not taken", "-xd", "ct.dcm", "+x="),
        ("JPEG", "-xy", "jpeg.dcm"),
        ("JPEG that is not proposed", "", "jpeg.dcm"),
        ("JPEG that is not taken", "-xy", "jpeg.dcm", "+x="),
        ("JPEG and what is uncompressed", "-xy", "jpeg.dcm ct.dcm"),
        ("JPEG combined", "-xy +C", "jpeg.dcm", "+xy"),
        ("RLE", "-xr", "rle.dcm"),
        ("RLE for JPEG", "-xr", "jpeg.dcm"),
        ("JPEG 2000", "-xv", "j2k.dcm"),
        ("JPEG-LS proposed for what is not", "-xt", "ct.dcm"),
        ("video proposed for what is none", "-xm", "ct.dcm"),
        ("only what is required", "-R", "ct.dcm mr.dcm jpeg.dcm"),
        ("required and JPEG", "-R -xy", "ct.dcm jpeg.dcm"),
        ("required and combined", "-R +C", "ct.dcm mr.dcm"),
        ("a text file", "", "notes.txt"),
        ("a text file after an image", "", "ct.dcm notes.txt mr.dcm"),
        ("a text file, required", "-R", "notes.txt ct.dcm"),
        ("an empty file", "", "empty"),
        ("a file that is cut", "", "cut.dcm"),
        ("a file that is cut in its header", "", "cut-header.dcm"),
        ("a file that is cut between two fields of an element", "", "cut-element.dcm"),
        ("a file that is not there", "", "ct.dcm gone.dcm"),
        ("a folder", "", "."),
        ("a folder after an image", "", "ct.dcm ."),
        ("a pattern", "+sd +sp *.dcm", "good"),
        ("a pattern that nothing matches", "+sd +sp *.xyz", "good"),
        ("folders in folders", "+sd +r", "good"),
        ("folders not in folders", "+sd -r", "good"),
        ("a folder and a file", "+sd", "good mr.dcm"),
        ("a bare data set", "", "bare"),
        ("a bare data set as such", "-f", "bare"),
        ("a file as a bare data set", "-f", "ct.dcm"),
        ("a bare data set as a file", "+fo", "bare"),
        ("a file as a file", "+fo", "ct.dcm"),
        ("renamed", "+rn", "ct.dcm mr.dcm"),
        ("renamed, and a bad one", "+rn", "ct.dcm notes.txt mr.dcm"),
        ("three times", "--repeat 3", "ct.dcm mr.dcm"),
        ("aborted at the end", "--abort", "ct.dcm"),
        ("small PDUs", "--max-send-pdu 4096 -pdu 4096", "ct.dcm"),
        ("small PDUs of the receiver", "", "ct.dcm", "-pdu 4096"),
        ("a profile", "-xf /etc/dcmtk/storescu.cfg Default", "ct.dcm mr.dcm"),
        ("a profile by another spelling of its name", "-xf /etc/dcmtk/storescu.cfg default", "implicit.dcm"),
        ("a profile without what the file needs", "-xf /etc/dcmtk/storescu.cfg Default", "jpeg.dcm"),
        ("a profile that is not there", "-xf /etc/dcmtk/storescu.cfg Another", "ct.dcm"),
        ("a profile in no file", "-xf /etc/dcmtk/no-such-file Default", "ct.dcm"),
        ("a user", "-usr ada", "ct.dcm"),
        ("a user with a password", "-usr ada -pwd sesame", "ct.dcm"),
        ("a user who is not confirmed", "-usr ada -epw -rsp", "ct.dcm"),
        ("a token that is not there", "--jwt /no/such/file", "ct.dcm"),
        ("a password without a user", "-pwd sesame", "ct.dcm"),
        ("titles", "-aet ME -aec YOU", "ct.dcm"),
        ("old VRs", "-u", "later.dcm"),
        ("later VRs", "+u", "later.dcm"),
        ("times", "-to 5 -ts 5 -ta 5 -td 5", "ct.dcm"),
        ("sequences of every length", "", "sequences.dcm"),
        ("sequences in implicit VR", "-xi", "sequences.dcm"),
        ("group lengths", "", "lengths.dcm"),
        ("the receiver refuses associations", "", "ct.dcm", "--refuse"),
        ("the receiver ignores", "", "ct.dcm", "--ignore"),
        ("the receiver aborts", "", "ct.dcm mr.dcm", "--abort-during"),
        ("quiet", "-q", "notes.txt"),
        ("a peer that is not there", "-aec NOBODY", "ct.dcm", "none"),
        ("two presets, the last counts", "-xs -xi", "ct.dcm"),
        ("an unknown option", "--no-such-option", "ct.dcm"),
        ("a value that is none", "--repeat many", "ct.dcm"),
        ("a number too small", "-pdu 100", "ct.dcm"),
        ("recursion without a search", "+r", "ct.dcm"),
        ("a pattern without a search", "+sp *", "ct.dcm"),
        ("contexts without words", "+v", "ct.dcm"),
        ("no file", "", ""),
        ("a profile and a preset", "-xf /etc/dcmtk/storescu.cfg Default -xs", "ct.dcm"),
        ("a profile and what is required", "-xf /etc/dcmtk/storescu.cfg Default -R", "ct.dcm"),
        ("a level without compression", "+cl 3", "ct.dcm"),
    )
]

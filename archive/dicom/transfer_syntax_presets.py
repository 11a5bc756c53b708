"""Lists of transfer syntaxes by name: what an acceptor prefers and what a requestor proposes; pure.

The names are values of rows; beside each are the options of DCMTK's programs that mean the same. An acceptor takes the
first of its own list that the peer proposes. "Local" byte order is little endian on every machine this runs on.
"""

from collections.abc import Mapping
from types import MappingProxyType

from archive.dicom.uids import (
    BY_PREFERENCE,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

__all__ = ["ACCEPT", "PROPOSE"]

_LITTLE_FIRST = (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_BIG_FIRST = (EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

_UNCOMPRESSED: dict[str, tuple[str, ...]] = {
    "uncompressed": _LITTLE_FIRST,  # +x= --prefer-uncompr, -x= --propose-uncompr
    "little-endian": _LITTLE_FIRST,  # +xe --prefer-little, -xe --propose-little
    "big-endian": _BIG_FIRST,  # +xb --prefer-big, -xb --propose-big
    "implicit": (IMPLICIT_VR_LITTLE_ENDIAN,),  # +xi --implicit, -xi --propose-implicit
}

# One transfer syntax, and the uncompressed ones in case the peer does not know it.
_WITH_UNCOMPRESSED: dict[str, str] = {
    "jpeg-lossless": "1.2.840.10008.1.2.4.70",  # +xs -xs
    "jpeg-8bit": "1.2.840.10008.1.2.4.50",  # +xy -xy
    "jpeg-12bit": "1.2.840.10008.1.2.4.51",  # +xx -xx
    "j2k-lossless": "1.2.840.10008.1.2.4.90",  # +xv -xv
    "j2k-lossy": "1.2.840.10008.1.2.4.91",  # +xw -xw
    "jls-lossless": "1.2.840.10008.1.2.4.80",  # +xt -xt
    "jls-lossy": "1.2.840.10008.1.2.4.81",  # +xu -xu
    "rle": "1.2.840.10008.1.2.5",  # +xr -xr
    "deflated": DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,  # +xd -xd
}

# Video: accepted with the uncompressed ones behind it, proposed alone, as nobody turns a video into frames for a peer.
_VIDEO: dict[str, str] = {
    "mpeg2": "1.2.840.10008.1.2.4.100",  # +xm -xm
    "mpeg2-high": "1.2.840.10008.1.2.4.101",  # +xh -xh
    "mpeg4": "1.2.840.10008.1.2.4.102",  # +xn -xn
    "mpeg4-bd": "1.2.840.10008.1.2.4.103",  # +xl -xl
    "mpeg4-2-2d": "1.2.840.10008.1.2.4.104",  # +x2 -x2
    "mpeg4-2-3d": "1.2.840.10008.1.2.4.105",  # +x3 -x3
    "mpeg4-2-st": "1.2.840.10008.1.2.4.106",  # +xo -xo
    "hevc": "1.2.840.10008.1.2.4.107",  # +x4 -x4
    "hevc10": "1.2.840.10008.1.2.4.108",  # +x5 -x5
}

# +xa --accept-all, in the order of DCMTK 3.7, compressed first.
_ALL = (
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.100.1",
    "1.2.840.10008.1.2.4.101",
    "1.2.840.10008.1.2.4.101.1",
    "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.102.1",
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.103.1",
    "1.2.840.10008.1.2.4.104",
    "1.2.840.10008.1.2.4.104.1",
    "1.2.840.10008.1.2.4.105",
    "1.2.840.10008.1.2.4.105.1",
    "1.2.840.10008.1.2.4.106",
    "1.2.840.10008.1.2.4.106.1",
    "1.2.840.10008.1.2.4.107",
    "1.2.840.10008.1.2.4.108",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.111",
    "1.2.840.10008.1.2.4.112",
    "1.2.840.10008.1.2.8.1",
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.1.98",
    *_LITTLE_FIRST,
)

_BOTH = _UNCOMPRESSED | {name: (uid, *_LITTLE_FIRST) for name, uid in _WITH_UNCOMPRESSED.items()}

ACCEPT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "held": BY_PREFERENCE,  # all that the archive knows, what needs no conversion first; no option of DCMTK's
        "all": _ALL,
        **_BOTH,
        **{name: (uid, *_LITTLE_FIRST) for name, uid in _VIDEO.items()},
    }
)
"""Transfer syntaxes that an acceptor takes, best first, by the name of the preset."""

PROPOSE: Mapping[str, tuple[str, ...]] = MappingProxyType({**_BOTH, **{name: (uid,) for name, uid in _VIDEO.items()}})
"""Transfer syntaxes that a requestor proposes, best first, by the name of the preset."""

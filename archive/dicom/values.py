"""Value text to typed value and range bounds (PS3.5 6.2, PS3.4 C.2.2.2), and person names as they are searched.

A parser answers None for text that is no value of its VR: stored data is often wrong, and that is no error. Only the
ranges of a query raise `ValueError`, as there the peer must be told. What comes in is already decoded.
"""

import datetime
import re
import unicodedata
from decimal import Decimal, InvalidOperation

from archive.dicom.uids import is_uid

__all__ = [
    "NORM_VERSION",
    "date_range",
    "date_time_range",
    "fold_name",
    "format_da",
    "format_tm",
    "is_uid",
    "normalised_name",
    "parse_da",
    "parse_ds",
    "parse_dt",
    "parse_is",
    "parse_tm",
    "split_name",
    "time_range",
]

NORM_VERSION = 1  # of fold_name: rows folded by another version must be folded again

_MIN_IS, _MAX_IS = -(2**31), 2**31 - 1  # PS3.5 table 6.2-1
_MAX_DS_CHARACTERS = 64  # the standard says 16; longer ones exist, but a number has an end
_MAX_DS_EXPONENT = 300  # what fits a double

_DA = re.compile(r"(\d{4})(?:(\d\d)(\d\d)|\.(\d\d)\.(\d\d))", re.ASCII)
_TM = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6})\d*)?)?)?", re.ASCII)
_DT = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?([+-]\d{4})?", re.ASCII)
_IS = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_DS = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)

Bounds = tuple[datetime.datetime, datetime.datetime]
_DAY_END = datetime.time.max


def parse_da(text: str) -> datetime.date | None:
    """A date, also in the old form YYYY.MM.DD (PS3.5 6.2 note 6)."""
    found = _DA.fullmatch(text.strip(" \0"))
    if not found:
        return None
    try:
        return datetime.date(int(found[1]), int(found[2] or found[4]), int(found[3] or found[5]))
    except ValueError:
        return None


def format_da(date: datetime.date) -> str:
    """YYYYMMDD."""
    return f"{date.year:04}{date.month:02}{date.day:02}"


def _time_bounds(text: str) -> tuple[datetime.time, datetime.time] | None:
    """First and last moment that a time of partial precision means."""
    found = _TM.fullmatch(text.strip(" \0"))
    if not found:
        return None
    hour, minute, second, fraction = found.groups()
    # A leap second, 60, is kept as the last moment before it (PS3.5 table 6.2-1).
    is_leap = second == "60"
    first_fraction, last_fraction = ("999999",) * 2 if is_leap else _fraction_bounds(fraction)
    low = (int(hour), int(minute or 0), 59 if is_leap else int(second or 0), int(first_fraction))
    high = (int(hour), int(minute or 59), 59 if is_leap else int(second or 59), int(last_fraction))
    try:
        return datetime.time(*low), datetime.time(*high)
    except ValueError:
        return None


def _fraction_bounds(fraction: str | None) -> tuple[str, str]:
    digits = fraction or ""
    return digits.ljust(6, "0"), digits.ljust(6, "9")


def parse_tm(text: str) -> datetime.time | None:
    """A time, missing parts as zero; also in the old form HH:MM:SS (PS3.5 6.2)."""
    bounds = _time_bounds(text)
    return bounds[0] if bounds else None


def format_tm(time: datetime.time) -> str:
    """HHMMSS, with microseconds when there are any."""
    return time.strftime("%H%M%S.%f") if time.microsecond else time.strftime("%H%M%S")


def _date_time_bounds(text: str) -> Bounds | None:
    found = _DT.fullmatch(text.strip(" \0"))
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if fraction and not second:
        return None
    clock = _time_bounds(f"{hour}{minute or ''}{second or ''}{'.' + fraction if fraction else ''}") if hour else None
    if hour and clock is None:
        return None
    start, stop = clock or (datetime.time.min, _DAY_END)
    try:
        zone_info = _zone(zone)
        first = datetime.date(int(year), int(month or 1), int(day or 1))
        last = first if day else _last_day(first, is_whole_year=month is None)
        return (
            datetime.datetime.combine(first, start, zone_info),
            datetime.datetime.combine(last, stop, zone_info),
        )
    except ValueError:
        return None


def _last_day(first: datetime.date, *, is_whole_year: bool) -> datetime.date:
    if is_whole_year or first.month == 12:
        return first.replace(month=12, day=31)
    return first.replace(month=first.month + 1) - datetime.timedelta(days=1)


def _zone(text: str | None) -> datetime.timezone | None:
    """&ZZXX, hours and minutes from UTC, -1200 to +1400 (PS3.5 table 6.2-1)."""
    if text is None:
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    minutes = -minutes if text[0] == "-" else minutes
    if int(text[3:]) > 59 or not -12 * 60 <= minutes <= 14 * 60:
        raise ValueError(text)
    return datetime.timezone(datetime.timedelta(minutes=minutes))


def parse_dt(text: str) -> datetime.datetime | None:
    """A date and time, missing parts at their first; aware only when the text has an offset from UTC."""
    bounds = _date_time_bounds(text)
    return bounds[0] if bounds else None


def parse_is(text: str) -> int | None:
    """An integer string of 32 bits (PS3.5 table 6.2-1)."""
    text = text.strip(" \0")
    if not _IS.fullmatch(text):
        return None
    number = int(text)
    return number if _MIN_IS <= number <= _MAX_IS else None


def parse_ds(text: str) -> Decimal | None:
    """A decimal string; None beyond what a double holds."""
    text = text.strip(" \0")
    if len(text) > _MAX_DS_CHARACTERS or not _DS.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if number and abs(number.adjusted()) > _MAX_DS_EXPONENT:
        return None
    return number


def date_range(text: str) -> tuple[datetime.date | None, datetime.date | None]:
    """First and last date of a single value or a range `a-b`, `a-`, `-b`, `-` (PS3.4 C.2.2.2.5.1); None = open.

    Raises ValueError for anything else.
    """
    low, high = _halves(text, [position for position, character in enumerate(text) if character == "-"])
    first, last = (parse_da(half) if half else None for half in (low, high))
    if (low and first is None) or (high and last is None):
        raise ValueError(f"not a date or range of dates: {text!r}")
    return first, last


def time_range(text: str) -> tuple[datetime.time | None, datetime.time | None]:
    """First and last moment of a single value or a range of times (PS3.4 C.2.2.2.5.2); None = open.

    A time of partial precision means all it may stand for: `10` is 10:00:00 to 10:59:59.999999. Raises ValueError.
    """
    low, high = _halves(text, [position for position, character in enumerate(text) if character == "-"])
    first, last = (_time_bounds(half) if half else None for half in (low, high))
    if (low and first is None) or (high and last is None):
        raise ValueError(f"not a time or range of times: {text!r}")
    return (first[0] if first else None), (last[1] if last else None)


def date_time_range(text: str) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """First and last moment of a single value or a range of dates and times (PS3.4 C.2.2.2.5.3); None = open.

    A hyphen before four digits that end the text, or are followed by another hyphen, is an offset from UTC where that
    gives a value. Raises ValueError.
    """
    text = text.strip(" \0")
    hyphens = [position for position, character in enumerate(text) if character == "-"]
    single = _date_time_bounds(text)
    if single:
        return single
    # From the right: "20200101-0500-20200102" is two values, of which the first has an offset.
    for position in reversed(hyphens):
        low, high = text[:position].strip(), text[position + 1 :].strip()
        first, last = (_date_time_bounds(half) if half else None for half in (low, high))
        if (first or not low) and (last or not high):
            return (first[0] if first else None), (last[1] if last else None)
    raise ValueError(f"not a date and time or range of them: {text!r}")


def _halves(text: str, hyphens: list[int]) -> tuple[str, str]:
    text = text.strip(" \0")
    low, hyphen, high = text.partition("-")
    if len(hyphens) > 1 or not text:
        raise ValueError(f"not a value or range: {text!r}")
    return (low.strip(), high.strip()) if hyphen else (text, text)


def split_name(text: str) -> tuple[str, str, str]:
    """The alphabetic, ideographic and phonetic group of a person name (PS3.5 6.2.1.2), each as received.

    Of several names, separated by a backslash, each result has as many, or is empty when no name has that group.
    """
    if "\\" not in text:
        groups = text.split("=", 2)
        return groups[0], groups[1] if len(groups) > 1 else "", groups[2] if len(groups) > 2 else ""
    names = [split_name(name) for name in text.split("\\")]
    alphabetic, ideographic, phonetic = ("\\".join(group) for group in zip(*names, strict=True))
    return alphabetic, ideographic.strip("\\") and ideographic, phonetic.strip("\\") and phonetic


def normalised_name(text: str) -> str:
    """A component group without what does not count: spaces around components, `^` at the end (PS3.5 6.2.1.2)."""
    if "\\" in text:
        return "\\".join(normalised_name(name) for name in text.split("\\"))
    return "^".join(" ".join(component.split()) for component in text.split("^")).rstrip("^")


def fold_name(text: str) -> str:
    """A component group as it is searched: without case, accents, width, and what `normalised_name` drops.

    Wild cards stay. Folding twice changes nothing.
    """
    if not text.isascii():
        text = _folded(text)
    return normalised_name(text.casefold())


def _is_accent(character: str) -> bool:
    """European accents, Hebrew and Arabic points; not what makes another letter of a kana, or a Thai vowel."""
    combining_class = unicodedata.combining(character)
    return 10 <= combining_class <= 36 or combining_class >= 200


def _folded(text: str) -> str:
    """NFKC, casefold and no combining marks; some characters need a second turn to come to rest."""
    for _ in range(3):
        apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        kept = "".join(character for character in apart if not _is_accent(character))
        folded = unicodedata.normalize("NFKC", kept)
        if folded == text:
            break
        text = folded
    return text

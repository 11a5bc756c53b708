"""Names of files, each scheme to the byte; a name that promises to be new is given to one thread only."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from archive.errors import Misconfigured
from archive.storage.file_names import (
    DefaultNames,
    InstanceUidNames,
    ShortUniqueNames,
    SystemTimeNames,
    TimeNames,
    UniqueNames,
)
from tests.unit.storage.fix_received import CT, MR, NOBODYS, received

NOON = datetime(2026, 2, 3, 12, 4, 5, 678901)
SCHEMES: tuple[Callable[..., Any], ...] = (DefaultNames, UniqueNames, TimeNames, ShortUniqueNames, SystemTimeNames)
NEW_ONES = SCHEMES[1:]


def test_the_default_name_is_the_prefix_and_the_uid_of_the_request():
    named = DefaultNames().name(received(CT, SOPInstanceUID="1.2.3"), "")

    assert named == "CT.1.2.3"


def test_an_extension_is_appended_as_it_is_without_a_dot():
    assert DefaultNames("dcm #1").name(received(CT, SOPInstanceUID="1.2.3"), "") == "CT.1.2.3dcm #1"


@pytest.mark.parametrize(
    "uid, kept",
    [
        pytest.param("../../etc/passwd", ".._.._etc_passwd", id="path"),
        pytest.param("1.2\0.3", "1.2_.3", id="NUL"),
        pytest.param("1;rm -rf $HOME`", "1_rm -rf _HOME_", id="shell"),
        pytest.param("a b:c@d-e_f.G9", "a b:c@d-e_f.G9", id="what-is-kept"),
        pytest.param("1.2\ufffd\n", "1.2__", id="no-ascii"),
    ],
)
def test_what_is_unusual_in_a_uid_becomes_an_underscore(uid: str, kept: str):
    instance = received(CT)
    odd = type(instance)(CT, uid, instance.scan)

    assert DefaultNames().name(odd, "") == f"CT.{kept}"


@pytest.mark.parametrize(
    "uid, name",
    [
        ("1.2.3", "1.2.3"),
        ("1.2.03", "1.2.03"),
        ("..", "CT..."),
        (".profile", "CT..profile"),
        ("../1.2", "CT..._1.2"),
        ("Makefile", "CT.Makefile"),
        ("1.2\n", "CT.1.2_"),
    ],
)
def test_by_the_uid_alone_is_called_what_could_be_one(uid: str, name: str) -> None:
    instance = received(CT)

    assert InstanceUidNames().name(type(instance)(CT, uid, instance.scan), "") == name


@pytest.mark.parametrize(
    "naming, pattern",
    [
        pytest.param(DefaultNames("x"), r"UNKNOWN\.1\.2\.3x", id="default"),
        pytest.param(UniqueNames("x"), r"UNKNOWN\.X\.1\.2\.276\.0\.7230010\.3\.1\.4(\.\d+){4}x", id="unique"),
        pytest.param(TimeNames("x", lambda: NOON), r"20260203120405678\.UNKNOWNx", id="time"),
        pytest.param(ShortUniqueNames("x"), r"XX_[0-9a-f]{16}x", id="short"),
        pytest.param(SystemTimeNames("x", lambda: NOON), r"20260203120405\.678901\.UNKNOWNx", id="system-time"),
    ],
)
def test_an_unknown_sop_class_has_the_prefix_that_the_scheme_gives_it(naming: Any, pattern: str):
    named = naming.name(received(NOBODYS, SOPInstanceUID="1.2.3"), "")

    assert re.fullmatch(pattern, named)


def test_a_uid_made_for_a_name_has_no_more_than_64_characters_and_no_leading_zeros():
    named = UniqueNames().name(received(CT), "")

    uid = named.removeprefix("CT.X.")
    assert len(uid) <= 64
    assert re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", uid)


def test_names_by_time_have_a_number_from_the_second_of_a_millisecond_on():
    naming = TimeNames(".dcm", lambda: NOON)

    named = [naming.name(received(CT), "") for _ in range(3)]

    assert named == ["20260203120405678.CT.dcm", "20260203120405678_0000.CT.dcm", "20260203120405678_0001.CT.dcm"]


def test_names_by_time_count_each_prefix_and_each_subfolder_by_itself():
    naming = TimeNames(clock=lambda: NOON)

    named = [naming.name(received(each), folder) for each, folder in ((CT, ""), (MR, ""), (CT, "a"), (CT, ""))]

    stamp = "20260203120405678"
    assert named == [f"{stamp}.CT", f"{stamp}.MR", f"{stamp}.CT", f"{stamp}_0000.CT"]


def test_names_by_time_begin_anew_with_each_millisecond():
    steps = count()
    naming = TimeNames(clock=lambda: NOON + timedelta(microseconds=500) * next(steps))

    named = [naming.name(received(CT), "") for _ in range(4)]

    assert [name.removeprefix("20260203120405") for name in named] == ["678.CT", "679.CT", "679_0000.CT", "680.CT"]


def test_names_by_system_time_never_stand_still():
    naming = SystemTimeNames(clock=lambda: NOON)

    named = [naming.name(received(CT), "") for _ in range(3)]

    assert named == [f"20260203120405.{fraction}.CT" for fraction in (678901, 678902, 678903)]


def test_names_by_system_time_follow_a_clock_that_is_set_back():
    times = iter([NOON, NOON - timedelta(hours=1)])
    naming = SystemTimeNames(clock=lambda: next(times))

    named = [naming.name(received(CT), "") for _ in range(2)]

    assert named == ["20260203120405.678901.CT", "20260203110405.678901.CT"]


def test_short_names_hold_the_time_of_the_start_and_32_random_bits():
    naming = ShortUniqueNames(begun_at=float(0x69831234), random_32_bits=iter([0x1F, 0xFFFFFFFF]).__next__)

    named = [naming.name(received(CT), "") for _ in range(2)]

    assert named == ["CT_698312340000001f", "CT_69831234ffffffff"]


@pytest.mark.parametrize("scheme", NEW_ONES, ids=lambda scheme: scheme.__name__)
def test_threads_that_ask_at_once_are_given_different_names(scheme: Callable[[], Any]):
    naming, instance = scheme(), received(CT)
    instance.header  # noqa: B018 - scanned once

    with ThreadPoolExecutor(16) as threads:
        named = list(threads.map(lambda _: naming.name(instance, ""), range(4000)))

    assert len(set(named)) == len(named)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.__name__)
@pytest.mark.parametrize("extension", ["/x", "../x", "x\0", "x" * 200])
def test_an_extension_that_leads_elsewhere_or_is_too_long_is_refused(scheme: Callable[[str], Any], extension: str):
    with pytest.raises(Misconfigured, match="extension"):
        scheme(extension)

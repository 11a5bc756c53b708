"""What an area holds, held against what it may: which limit is passed."""

import pytest

from archive.index.record import UsageChange
from archive.index.usage import Usage
from archive.lifecycle import quota
from archive.lifecycle.quota import Reason
from archive.registry.model import Quota

HELD = Usage(10, 20, 100, 5000)


@pytest.mark.parametrize(
    "limits, missing_bytes, expected",
    [
        pytest.param(Quota(), 0, None, id="no limit"),
        pytest.param(Quota(max_studies=10, max_bytes=5000), 0, None, id="exactly full"),
        pytest.param(Quota(max_studies=8), 0, Reason.MAX_STUDIES, id="studies"),
        pytest.param(Quota(max_bytes=4000), 0, Reason.MAX_BYTES, id="bytes"),
        pytest.param(Quota(max_studies=9, max_bytes=1), 0, Reason.MAX_STUDIES, id="both"),
        pytest.param(Quota(max_studies=10), 7, Reason.MIN_FREE_BYTES, id="disk"),
    ],
)
def test_the_first_limit_that_is_passed_is_named(limits, missing_bytes, expected):
    assert quota.passed(limits, HELD, missing_bytes) is expected


@pytest.mark.parametrize(
    "limits, missing_bytes, added, expected",
    [
        pytest.param(Quota(max_studies=5), 0, UsageChange(0, 1, 1, 100), None, id="no new study"),
        pytest.param(Quota(max_studies=5), 0, UsageChange(1, 1, 1, 100), Reason.MAX_STUDIES, id="new study"),
        pytest.param(Quota(max_bytes=5), 0, UsageChange(0, 0, 0, -1), None, id="smaller successor"),
        pytest.param(Quota(max_bytes=5), 0, UsageChange(0, 0, 1, 1), Reason.MAX_BYTES, id="one more instance"),
        pytest.param(Quota(), 5, UsageChange(0, 0, 0, 0), None, id="equal successor on a full disk"),
        pytest.param(Quota(), 5, UsageChange(0, 0, 1, 1), Reason.MIN_FREE_BYTES, id="full disk"),
    ],
)
def test_a_store_answers_only_for_what_it_adds(limits, missing_bytes, added, expected):
    assert quota.passed(limits, HELD, missing_bytes, added) is expected


@pytest.mark.parametrize(
    "limits, size_bytes, expected",
    [
        pytest.param(Quota(), 10**12, None, id="no limit"),
        pytest.param(Quota(max_study_bytes=100), 100, None, id="as large as a study may be"),
        pytest.param(Quota(max_study_bytes=100), 101, Reason.MAX_STUDY_BYTES, id="larger than a study"),
        pytest.param(Quota(max_bytes=100), 101, Reason.MAX_BYTES, id="larger than the area"),
    ],
)
def test_an_instance_may_be_too_large_by_itself(limits, size_bytes, expected):
    assert quota.too_large(limits, size_bytes) is expected


def test_files_that_will_go_count_as_free():
    limits = Quota(min_free_bytes=1000)

    assert quota.missing_bytes(limits, 900, coming_bytes=50) == 150
    assert quota.missing_bytes(limits, 900, coming_bytes=50, going_bytes=100) == 50
    assert quota.missing_bytes(limits, 900, going_bytes=100) == 0
    assert quota.missing_bytes(Quota(), 0) == 0


def test_headroom_narrows_the_limits_in_bytes_and_no_other_where_the_area_evicts():
    limits = Quota(10, 500, 5000, 30, 1000, headroom_bytes=200, evicts=True)

    assert quota.with_headroom(limits) == Quota(10, 500, 4800, 30, 1200, headroom_bytes=200, evicts=True)
    assert quota.with_headroom(Quota(10, max_bytes=5000, headroom_bytes=200)).max_bytes == 5000
    assert quota.with_headroom(Quota(10, headroom_bytes=200, evicts=True)) == Quota(10, headroom_bytes=200, evicts=True)

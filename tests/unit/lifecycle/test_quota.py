"""What an area holds, held against what it may: which limit is passed, and by how much."""

import pytest

from archive.index.usage import Usage
from archive.lifecycle import quota
from archive.lifecycle.quota import Reason, Surplus
from archive.registry.snapshot import Quota

HELD = Usage(10, 20, 100, 5000)


@pytest.mark.parametrize(
    "limits, missing_bytes, expected",
    [
        pytest.param(Quota(), 0, None, id="no limit"),
        pytest.param(Quota(max_studies=10, max_bytes=5000), 0, None, id="exactly full"),
        pytest.param(Quota(max_studies=8), 0, Surplus(Reason.MAX_STUDIES, 2, 0), id="studies"),
        pytest.param(Quota(max_bytes=4000), 0, Surplus(Reason.MAX_BYTES, 0, 1000), id="bytes"),
        pytest.param(Quota(max_studies=9, max_bytes=1), 0, Surplus(Reason.MAX_STUDIES, 1, 0), id="both"),
        pytest.param(Quota(max_studies=10), 7, Surplus(Reason.MIN_FREE_BYTES, 0, 7), id="disk"),
    ],
)
def test_surplus_names_the_first_limit_that_is_passed(limits, missing_bytes, expected):
    assert quota.surplus(limits, HELD, missing_bytes) == expected


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
    assert quota.missing_bytes(limits, None) == quota.missing_bytes(Quota(), 0) == 0

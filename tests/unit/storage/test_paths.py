"""Names of files in an area."""

from datetime import UTC, datetime, timedelta, timezone

from archive.storage import paths


def test_a_path_tells_the_minute_in_utc_and_nothing_of_the_instance():
    moment = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))

    path = paths.new_path(moment)

    assert path.startswith("2026/02/28/2330/")
    assert paths.is_ours(path)


def test_no_path_is_given_twice():
    now = datetime.now(UTC)

    made = {paths.new_path(now) for _ in range(1000)}

    assert len(made) == 1000


def test_what_others_put_into_the_folder_is_not_ours():
    strangers = ("lost+found", "2026/02/28/2330/scan.dcm", "../2026/02/28/2330/" + 32 * "0" + ".dcm", "README")

    assert not any(map(paths.is_ours, strangers))

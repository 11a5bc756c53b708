"""One running archive for all wire tests of a run and a database; each test works at AE titles and areas of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import DIALECTS
from tests.wire.real_dcmqrscp import start_dcmqrscp
from tests.wire.running import Archive, start_archive
from tests.wire.two_nodes import start_nodes

__all__ = ["start_dcmqrscp", "start_nodes"]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """All of this folder talk to real programs over sockets."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("wire")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As for `dialect`, but for a service that many tests share; a test may say itself on which."""
    told = any("served_on" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "served_on" in metafunc.fixturenames and not told:
        chosen = metafunc.config.getoption("--dialect") or DIALECTS
        metafunc.parametrize("served_on", [name for name in DIALECTS if name in chosen], scope="session")


@pytest.fixture(scope="session")
def shared_archive(
    served_on: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """The archive that the tests of a run share, with one worker process."""
    with ExitStack() as stack:
        yield start_archive(stack, request, served_on, tmp_path_factory.mktemp(f"archive-{served_on}"))


@pytest.fixture
def archive(shared_archive: Archive, request: pytest.FixtureRequest) -> Iterator[Archive]:
    """The shared archive, with an AE title of this test's own; its log since then is shown when the test fails."""
    shared_archive.title = shared_archive.add_title()
    already = len(shared_archive.service.output())
    yield shared_archive
    shared_archive.forget_titles_and_peers()
    log = shared_archive.service.output()[already:].splitlines()
    request.node.add_report_section("teardown", "log of the archive", "\n".join(log[-40:]))
    assert shared_archive.service.is_running()


@pytest.fixture
def start_own_archive(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    """`start_own_archive("--acse-timeout", "1", workers=2)`: an archive for this test alone."""
    with ExitStack() as stack:
        started: list[Archive] = []

        def begin(*options: str, workers: int = 1) -> Archive:
            folder = tmp_path / f"own-{len(started)}"
            folder.mkdir()
            started.append(start_archive(stack, request, dialect, folder, *options, workers=workers))
            return started[-1]

        yield begin
        for each in started:
            request.node.add_report_section("teardown", "log of the archive", each.service.output()[-5000:])

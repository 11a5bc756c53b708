"""What every test needs: the fixtures of `fix_*.py`, Hypothesis profiles, and the databases that tests run on."""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = (
    "tests.fix_database",
    "tests.fix_pgbouncer",
    "tests.fix_instances",
    "tests.fix_dcmtk",
    "tests.fix_service",
    "tests.fix_archive",
    "tests.fix_log",
    "tests.fix_command",
    "tests.fix_tls",
)

# quick: every run; ci: the same examples each time; deep: by hand, `HYPOTHESIS_PROFILE=deep pytest tests/property`.
# No deadline anywhere: a busy machine is no defect. A fixture of a database is made anew per test, not per example.
_QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
settings.register_profile("quick", max_examples=50, deadline=None, suppress_health_check=_QUIET)
settings.register_profile(
    "ci",
    max_examples=50,
    deadline=None,
    suppress_health_check=_QUIET,
    derandomize=True,
    database=None,
    print_blob=True,
)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick"))

DIALECTS = ("sqlite", "postgresql")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which databases the tests that need one run on."""
    parser.addoption(
        "--dialect",
        action="append",
        choices=DIALECTS,
        help="run the tests that need a database on this one only (default: on each)",
    )
    parser.addoption(
        "--durable",
        action="store_true",
        help="let the private PostgreSQL cluster sync its writes (slower; no test needs it)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that asks for `dialect`, directly or through `database_url`, on each database."""
    if "dialect" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--dialect") or DIALECTS
        metafunc.parametrize("dialect", [name for name in DIALECTS if name in chosen])

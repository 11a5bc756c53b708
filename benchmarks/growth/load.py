"""Fill an empty index by the bulk load of its database."""

import gc
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import make_url

from benchmarks.growth import load_postgresql, load_sqlite
from benchmarks.growth.made_rows import Batch


def load(url: str, batches: Iterable[Batch]) -> None:
    """Insert all rows into the migrated database at `url` (SQLAlchemy's), which nobody else has open."""
    parsed = make_url(url)
    was_enabled = gc.isenabled()
    gc.disable()  # it would look at all rows of a batch, again and again
    try:
        if parsed.get_backend_name() == "sqlite":
            load_sqlite.load(Path(parsed.database or ""), batches)
        else:
            load_postgresql.load(parsed.set(drivername="postgresql").render_as_string(hide_password=False), batches)
    finally:
        if was_enabled:
            gc.enable()

"""Write the report views of the code as the migration that makes them holds them: migrations/views/NUMBER_DIALECT.sql.

    python -m scripts.freeze_views 0001

Only for a migration that is not released yet; a released one keeps the views it had.
"""

import sys
from pathlib import Path

from sqlalchemy.dialects import postgresql, sqlite

from archive.index.reports import REPORTS, create_statement

FOLDER = Path(__file__).parents[1] / "migrations" / "views"
DIALECTS = (sqlite.dialect(), postgresql.dialect())


def main(number: str) -> None:
    """Write the files of one migration."""
    for dialect in DIALECTS:
        statements = [f"{create_statement(report, dialect)};\n" for report in REPORTS.values()]
        (FOLDER / f"{number}_{dialect.name}.sql").write_text("\n".join(statements), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A process that stores, for tests of several: `python -m tests.sql.store_process URL AREA_PK SERIES INSTANCES`.

It says `ready` when its database is open, and begins when a line comes in: the first instances of one study, its own
series and then a series that every process stores to.
"""

import sys
from contextlib import closing

from archive.database.engine import Database
from tests.sql.fix_holdings import Shelf, record


def main() -> None:
    """Store and leave."""
    url, area_pk, series, number_of_instances = sys.argv[1:]
    with closing(Database(url)) as database:
        shelf = Shelf(database, int(area_pk))
        shelf.usage()
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(int(number_of_instances)):
            shelf.store(record(series=int(series), number=number), shard=int(series))
            shelf.store(record(series=0, number=100 * int(series) + number), shard=int(series))


if __name__ == "__main__":
    main()

"""Carry SQLite's log into the database beside the writers, in a thread of its own.

SQLite would do so within the COMMIT that makes the log long enough: one store of some hundred waits for two syncs and
thousands of pages. Here most of it happens while others write. The rest, what they wrote meanwhile, is carried over in
a writer's turn, so that the next one begins the log anew; without that it would grow for as long as there are writers.
SQLite's own way stays for when this thread cannot keep up.
"""

import logging
import sqlite3
import threading
from contextlib import closing
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from archive.database.sqlite import WriterQueue
from archive.errors import DatabaseFailed

log = logging.getLogger(__name__)

# A store changes a dozen pages of 4 KiB, four that share a transaction some thirty: well before SQLite would act.
TRANSACTIONS_BETWEEN = 192


class Checkpoints:
    """Counts the write transactions of a process, and its thread that acts on it."""

    def __init__(self, engine: Engine, writers: WriterQueue) -> None:
        self._engine = engine
        self._writers = writers
        self._number = 0
        self._due = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def count(self) -> None:
        """A transaction was committed; called within a writer's turn."""
        self._number += 1
        if self._number >= TRANSACTIONS_BETWEEN:
            self._number = 0
            self._due.set()

    def close(self) -> None:
        """End the thread, once it has ended what it is at."""
        self._is_closed = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        while self._is_due():
            try:
                with closing(self._engine.raw_connection()) as connection:
                    if _carried_over(connection):
                        with self._writers.turn():
                            _carried_over(connection)
            except (sqlite3.Error, SQLAlchemyError, OSError, DatabaseFailed) as error:
                log.warning("the log of the database was not carried over, and will be later: %s", error)

    def _is_due(self) -> bool:
        """Wait until there is something to do; False if that is to end."""
        self._due.wait()
        self._due.clear()  # before the look: who closes sets it after
        return not self._is_closed


def _carried_over(connection: Any) -> bool:
    """Carry over what is there now; False if somebody else is at it."""
    with closing(connection.cursor()) as cursor:
        is_busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return not is_busy

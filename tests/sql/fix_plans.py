"""How the databases would execute statements on thousands of rows: the indexes they use, the tables they read whole."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, event, insert

from archive.database import trigrams
from archive.index.tables import evictions, instances, patients, series, series_requests, studies, study_usage
from tests.sql.fix_holdings import CT, MOMENT

PATIENTS = 4000
FIRST = 1_000_000  # primary keys of made rows, out of the way of those that a store makes

LARGE_TABLES = frozenset(table.name for table in (patients, studies, study_usage, series, instances))

# Aliases of tables in index/columns.py and index/predicates.py.
_ALIASES = {"searched": "patients", "their_studies": "studies", "their_usage": "study_usage", "within": "series"}
_MATCH = "VIRTUAL TABLE INDEX 0:M"
_PRIMARY_KEYS = {"study_usage": "study_pk"}
_SQLITE_STEP = re.compile(r"(SCAN|SEARCH) (\S+)(?: USING (?:COVERING )?(INTEGER PRIMARY KEY|INDEX \S+))?(?: \((.*)\))?")


@dataclass(slots=True)
class Plan:
    """How one statement is executed. `indexes`: what is looked up in which index; `read_whole`: tables without one;
    `sorts`: whether the order has to be made.
    """

    statement: str
    indexes: dict[str, str] = field(default_factory=dict)
    read_whole: set[str] = field(default_factory=set)
    sorts: bool = False

    def looks_up(self, index: str, column: str) -> bool:
        """Whether `column` is looked up in `index`."""
        return column in self.indexes.get(index, "")


def plans(connection: Connection, work: Callable[[Connection], object]) -> list[Plan]:
    """Do the work and return the plan of each of its statements."""
    executed: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, _context: object, is_many: bool) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            executed.append((statement, parameters[0] if is_many else parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        work(connection)
    finally:
        event.remove(connection, "before_cursor_execute", note)
    explain = _explain_postgresql if connection.dialect.name == "postgresql" else _explain_sqlite
    return [explain(connection, statement, parameters) for statement, parameters in executed]


def _explain_postgresql(connection: Connection, statement: str, parameters: Any) -> Plan:
    found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    plan = Plan(statement)
    for node in _nodes((found if isinstance(found, list) else json.loads(found))[0]["Plan"]):
        if "Index Name" in node:
            looked_up = f"{node.get('Index Cond', '')} {node.get('Recheck Cond', '')}"
            plan.indexes[node["Index Name"]] = plan.indexes.get(node["Index Name"], "") + looked_up
        if node["Node Type"] == "Seq Scan" or ("Index Name" in node and "Index Cond" not in node):
            plan.read_whole.add(node.get("Relation Name", node.get("Index Name", "")))
        plan.sorts |= node["Node Type"] == "Sort"
    return plan


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _explain_sqlite(connection: Connection, statement: str, parameters: Any) -> Plan:
    plan = Plan(statement)
    names = _unique_constraints(connection)
    for *_, detail in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        plan.sorts |= "TEMP B-TREE" in detail
        step = _SQLITE_STEP.match(detail)
        if step is None:
            continue
        verb, table, index, looked_up = step.groups()
        if table in trigrams.TABLES.values() and _MATCH in detail:
            plan.indexes[table] = "MATCH"
            continue
        table = _ALIASES.get(table, table)
        if verb == "SCAN":
            plan.read_whole.add(table)
        elif index:
            name = f"pk_{table}" if index == "INTEGER PRIMARY KEY" else index.removeprefix("INDEX ")
            name = names.get(name, name)
            plan.indexes[name] = plan.indexes.get(name, "") + looked_up.replace("rowid", _PRIMARY_KEYS.get(table, "pk"))
    return plan


def _unique_constraints(connection: Connection) -> dict[str, str]:
    """SQLite's own names of the indexes of unique constraints -> ours."""
    names = {}
    for table in LARGE_TABLES:
        for _, name, _, origin, _ in connection.exec_driver_sql(f"PRAGMA index_list({table})").all():
            if origin == "u":
                columns = [row[2] for row in connection.exec_driver_sql(f"PRAGMA index_info({name})")]
                names[name] = "_".join(("uq", table, *columns))
    return names


def fill(connection: Connection, area_pk: int) -> None:
    """Patients with one study each, two series a study, two instances a series."""
    of_area: dict[str, Any] = {"area_pk": area_pk, "norm_version": 1, "created_at": MOMENT}
    everybody = range(FIRST, FIRST + PATIENTS)
    connection.execute(
        insert(patients),
        [
            of_area
            | {"pk": n, "patient_key": f"P{n}", "patient_id": f"P{n}"}
            | {"patient_name_alphabetic_folded": f"name{n * 7919 % PATIENTS:05}^given"}
            | {"patient_name_ideographic_folded": "山田^太郎" if n % 100 == 0 else None}
            | {"patient_name_phonetic_folded": "やまだ^たろう" if n % 100 == 0 else None}
            for n in everybody
        ],
    )
    connection.execute(
        insert(studies),
        [
            of_area
            | {"pk": n, "patient_pk": n, "study_instance_uid": f"1.2.{n}", "fingerprint": b""}
            | {"study_date": date(2026, 1, 1) - timedelta(days=n % 2000), "accession_number": f"A{n}"}
            | {"study_id": f"S{n}", "referring_physician_name_alphabetic_folded": f"referrer{n}"}
            | {"study_description": f"description {n * 7919 % PATIENTS:05}"}
            for n in everybody
        ],
    )
    counters = {"area_pk": area_pk, "number_of_series": 2, "number_of_instances": 4, "size_bytes": 4}
    counters |= {"is_evictable": True}
    connection.execute(
        insert(study_usage),
        [counters | {"study_pk": n, "last_stored_at": MOMENT + timedelta(seconds=n % 1777)} for n in everybody],
    )
    made = [(n, 2 * n + k, k) for n in everybody for k in (0, 1)]
    connection.execute(
        insert(series),
        [
            of_area
            | {"pk": pk, "study_pk": n, "series_instance_uid": f"1.2.{n}.{k}", "fingerprint": b"", "sop_classes": CT}
            | {"modality": "PT" if n % 1000 == 0 else "CT", "number_of_instances": 2, "size_bytes": 2}
            for n, pk, k in made
        ],
    )
    connection.execute(
        insert(series_requests), [{"series_pk": pk, "requested_procedure_id": f"R{pk}"} for _, pk, _ in made]
    )
    stored = {"area_pk": area_pk, "sop_class_uid": CT, "transfer_syntax_uid": "1.2", "size_bytes": 1}
    stored |= {"data_set_offset": 1, "source_ae_title": "SENDER", "received_at": MOMENT}
    connection.execute(
        insert(instances),
        [
            stored
            | {"pk": 2 * pk + k, "study_pk": n, "series_pk": pk}
            | {"sop_instance_uid": f"1.3.{2 * pk + k}", "path": f"{2 * pk + k}"}
            for n, pk, _ in made
            for k in (0, 1)
        ],
    )
    went = {"area_pk": area_pk, "is_whole_study": True, "number_of_instances": 4, "size_bytes": 4}
    connection.execute(
        insert(evictions),
        [
            went
            | {"study_instance_uid": f"1.4.{n}", "reason": "max_studies", "evicted_at": MOMENT + timedelta(seconds=n)}
            for n in range(PATIENTS)
        ],
    )

"""Old events hidden in Parquet and Arrow files, databases and spreadsheets: more kinds of canaries."""

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from canaries import CANARIES, MS, OLD, YMS, YOUNG, YS, S, canary, epoch, put, zipped
from pyarrow import feather

__all__ = ["CANARIES"]


# Tables.
def table(site: Path, name: str, **columns: pa.Array) -> str:
    """A Parquet file."""
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return name


@canary
def parquet_instants(site: Path) -> str:
    return table(site, "a.parquet", t=pa.array([YOUNG, OLD], pa.timestamp("ns")))


@canary
def parquet_days(site: Path) -> str:
    return table(site, "a.parquet", t=pa.array([OLD.date(), None], pa.date32()))


@canary
def parquet_in_the_lake(site: Path) -> str:
    at = pa.array([YOUNG, OLD], pa.timestamp("ms", "UTC"))
    return table(site, "lake/events/2026-11-09/x.parquet", time=at)


@canary
def parquet_column_nobody_declared(site: Path) -> str:
    at = pa.array([YOUNG, YOUNG], pa.timestamp("ms", "UTC"))
    return table(site, "lake/events/2026-11-09/x.parquet", time=at, copied=pa.array([YS, S]))


for _name, _scale in (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)):  # fmt: skip
    CANARIES[f"parquet_{_name}"] = lambda site, scale=_scale: table(  # type: ignore[misc]
        site, "a.parquet", x=pa.array([epoch(scale, YOUNG), epoch(scale), 0, None])
    )


@canary
def parquet_float_seconds(site: Path) -> str:
    return table(site, "a.parquet", x=pa.array([YS + 0.5, S + 0.25]))


@canary
def parquet_text(site: Path) -> str:
    return table(site, "a.parquet", x=pa.array([OLD.isoformat(), "-"]))


@canary
def parquet_half_written(site: Path) -> str:
    path = site / "work" / "events-2026-11-19-1.parquet.tmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"time": pa.array([OLD], pa.timestamp("ms", "UTC"))}), path)
    return "work/events-2026-11-19-1.parquet.tmp"


@canary
def arrow_file(site: Path) -> str:
    site.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.table({"x": pa.array([YMS, MS])}), site / "cache.feather")
    return "cache.feather"


# Databases.
def database(site: Path, name: str, *statements: str) -> sqlite3.Connection:
    """An open database of a stranger's."""
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA secure_delete=OFF")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    return connection


ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO t SELECT {} FROM n"  # fmt: skip


@canary
def database_row(site: Path) -> str:
    database(site, "copy.bak", "CREATE TABLE t (at TEXT)", "INSERT INTO t VALUES ('2025-11-02')").close()  # fmt: skip
    return "copy.bak"


@canary
def database_integer_row(site: Path) -> str:
    database(site, "copy.db", "CREATE TABLE t (x INTEGER, y)", f"INSERT INTO t VALUES ({MS}, 'a')").close()  # fmt: skip
    return "copy.db"


@canary
def database_utf16_row(site: Path) -> str:
    database(site, "c.db", "PRAGMA encoding='UTF-16le'", "CREATE TABLE t (at TEXT)", "INSERT INTO t VALUES ('2025-11-02')").close()  # fmt: skip
    return "c.db"


@canary
def database_free_page(site: Path) -> str:
    database(site, "c.db", "CREATE TABLE u (x)", "CREATE TABLE t (at TEXT)", "INSERT INTO t VALUES ('2025-11-02T09:30')", "DROP TABLE t").close()  # fmt: skip
    return "c.db"


@canary
def database_free_pages_of_numbers(site: Path) -> str:
    database(site, "c.db", "CREATE TABLE u (x)", "CREATE TABLE t (a, at INTEGER)", ROWS.format(900, f"'ann', {MS} + i"), "DROP TABLE t").close()  # fmt: skip
    return "c.db"


@canary
def database_free_page_in_utf16(site: Path) -> str:
    database(site, "c.db", "PRAGMA encoding='UTF-16le'", "CREATE TABLE u (x)", "CREATE TABLE t (at TEXT)", "INSERT INTO t VALUES ('2025-11-02T09:30')", "DROP TABLE t").close()  # fmt: skip
    return "c.db"


@canary
def database_deleted_row(site: Path) -> str:
    database(site, "c.db", "CREATE TABLE t (a, at TEXT)", "INSERT INTO t VALUES ('ann', '2025-11-02'), ('bob', '2026-11-09')", "DELETE FROM t WHERE a = 'ann'").close()  # fmt: skip
    return "c.db"


@canary
def database_wal(site: Path) -> str:
    """A database copied while it was open: the row is in its write-ahead log only."""
    live = database(site, "live/c.db", "PRAGMA journal_mode=WAL", "CREATE TABLE t (a, at)")
    live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    live.execute("PRAGMA wal_autocheckpoint=0")
    live.execute(f"INSERT INTO t VALUES ('ann', {MS})")
    live.commit()
    for name in ("c.db", "c.db-wal"):
        (site / name).write_bytes((site / "live" / name).read_bytes())
    live.close()
    for path in (site / "live").iterdir():
        path.unlink()
    return "c.db-wal"


@canary
def database_wal_alone(site: Path) -> str:
    database_wal(site)
    (site / "c.db").unlink()
    return "c.db-wal"


@canary
def database_wal_overwritten(site: Path) -> str:
    """The row was deleted again: the log still has the page it stood on."""
    live = database(site, "live/c.db", "PRAGMA journal_mode=WAL", "CREATE TABLE t (a, at TEXT)")
    live.execute("PRAGMA wal_autocheckpoint=0")
    live.execute("INSERT INTO t VALUES ('ann', '2025-11-02')")
    live.commit()
    live.execute("PRAGMA secure_delete=ON")
    live.execute("DELETE FROM t")
    live.commit()
    (site / "c.db-wal").write_bytes((site / "live" / "c.db-wal").read_bytes())
    live.close()
    for path in (site / "live").iterdir():
        path.unlink()
    return "c.db-wal"


@canary
def database_journal(site: Path) -> str:
    """A rollback journal left by a process that was killed."""
    live = database(site, "c.db", "PRAGMA journal_mode=PERSIST", "CREATE TABLE t (a, at TEXT)", "INSERT INTO t VALUES ('ann', '2025-11-02')")  # fmt: skip
    live.execute("UPDATE t SET at = '2026-11-09'")
    live.commit()
    live.close()
    (site / "c.db").unlink()
    return "c.db-journal"


# Spreadsheets.
TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
STYLES = (
    b'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="1">'
    b'<numFmt numFmtId="164" formatCode="dd/mm/yyyy hh:mm"/></numFmts><cellXfs count="2">'
    b'<xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>'
)


def workbook(*rows: bytes, strings: bytes = b"") -> bytes:
    """A spreadsheet as Excel writes it, the parts that matter."""
    sheet = b"<worksheet><sheetData>" + b"".join(rows) + b"</sheetData></worksheet>"
    return zipped(
        ("[Content_Types].xml", TYPES),
        ("docProps/core.xml", b"<created>2013-01-01T00:00:00Z</created>"),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/styles.xml", STYLES),
        ("xl/sharedStrings.xml", b"<sst>" + strings + b"</sst>"),
        ("xl/worksheets/sheet1.xml", sheet),
    )


def serial(when: datetime) -> float:
    """A day as a spreadsheet counts it."""
    return (when.replace(tzinfo=None) - datetime(1899, 12, 30)) / timedelta(days=1)


@canary
def xlsx_dates(site: Path) -> str:
    rows = [f'<row r="1"><c r="A1" s="1"><v>{serial(t)}</v></c></row>' for t in (YOUNG, OLD)]
    return put(site, "export.xlsx", workbook(*(r.encode() for r in rows)))


@canary
def xlsx_texts(site: Path) -> str:
    row = b'<row r="1"><c r="A1" t="s"><v>0</v></c></row>'
    return put(site, "export.xlsx", workbook(row, strings=b"<si><t>2 November 2025</t></si>"))


@canary
def xlsx_epochs(site: Path) -> str:
    head = b'<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'
    row = f'<row r="2"><c r="A2" t="s"><v>0</v></c><c r="C2"><v>{S}</v></c></row>'.encode()
    names = b"<si><t>user</t></si><si><t>timestamp</t></si>"
    return put(site, "export.xlsx", workbook(head, row, strings=names))

"""Old events hidden in every way a file can hide them; each plants one and returns where."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OLD = datetime(2025, 11, 2, 9, 30, tzinfo=UTC)
"""A Sunday, a year and eighteen days before the tests' today."""

YOUNG = datetime(2026, 11, 9, 9, 30, tzinfo=UTC)
LOG = "{:.3f}    161 10.20.1.12 TCP_MISS/200 1037 GET http://www.facebook.com/ ann HIER_DIRECT/203.0.113.7 text/html\n"
Plant = Callable[[Path], str]
CANARIES: dict[str, Plant] = {}


def canary(plant: Plant) -> Plant:
    """Adds to the kinds that are planted."""
    CANARIES[plant.__name__] = plant
    return plant


def put(site: Path, name: str, content: bytes | str) -> str:
    """A file in the site folder."""
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def written(name: str, file: str, text: str) -> None:
    """A canary that is a text."""
    CANARIES[name] = lambda site: put(site, file, text)


def epoch(scale: int, when: datetime = OLD) -> int:
    """An instant as a whole number."""
    return int(when.timestamp()) * scale


def log(*times: datetime) -> bytes:
    """Lines of Squid."""
    return "".join(LOG.format(t.timestamp()) for t in times).encode()


# Texts.
S, MS, US, NS = (epoch(scale) for scale in (1, 10**3, 10**6, 10**9))
YS, YMS = epoch(1, YOUNG), epoch(1000, YOUNG)
written("report_by_stamp", "reports/2026-W46/kim.html", "<p>fine</p>\n<time datetime='2025-11-02'></time>\n")  # fmt: skip
written("report_in_words", "reports/2026-W46/kim.html", "<h1>Team of Kim</h1>\n<p>On 2 November 2025 ann was on Facebook.</p>\n")  # fmt: skip
written("report_with_tags", "reports/2026-W46/kim.html", "<p><b>2</b> <b>November</b> <i>2025</i>: 90 minutes</p>\n")  # fmt: skip
written("report_with_entities", "old/report.html", "<p>2&nbsp;November&nbsp;2025: 90 minutes</p>\n")
written("export_csv", "export for bob.csv", "user,day\r\nann,2026-11-10\r\nann,2025-11-02\r\n")
written("export_words_csv", "export.csv", "user,day\nann,2 Nov 2025\nann,9 Nov 2026\n")
written("export_slashes_csv", "export.csv", "user,day\nann,02/11/2025\nann,28/10/2026\n")
written("export_compact_csv", "export.csv", "user,date\nann,20251102\nann,20261109\n")
written("export_epoch_csv", "export.csv", f"user,bytes,ts\nann,1500000000,{YS}\nann,17,{S}\n")
written("words_american", "note.txt", "She was seen on November 2nd, 2025 at her desk.\n")
written("words_month_first", "note.txt", "ann  Nov 2 2025  90 minutes\n")
written("words_weekday", "note.txt", "ann: Sunday, 2 November, 90 minutes on Facebook\n")
written(
    "words_ctime", "crash/core.txt", "Sun Nov  2 09:30:00 2025 ann GET http://www.facebook.com/\n"
)
written(
    "words_rfc2822",
    "spool/1.eml",
    "Date: Sun, 02 Nov 2025 09:30:00 +0000\nSubject: team\n\nhello\n",
)
written("words_oracle", "dump.sql", "INSERT INTO e VALUES ('02-NOV-25','ann');\n")
written("log_apache", "incoming/a.log", '10.0.0.1 - ann [02/Nov/2025:12:00:00 +0000] "GET http://x/ HTTP/1.1" 200 5\n')  # fmt: skip
written("log_slashed", "incoming/cache.log", "2025/11/02 09:30:00| user ann\n")
written("log_windows", "incoming/dhcp.log", "ID,Date,Time\n10,11/02/25,09:30:00,Assign\n10,10/28/26,09:30:00,Assign\n")  # fmt: skip
written("log_iso_basic", "a.log", "20251102T093000Z ann GET\n20261109T093000Z ann GET\n")
written("log_first_seconds", "a.log", f"{S} ann GET /\n{YS} ann GET /\n")
written("log_first_milliseconds", "a.log", f"[{MS}] ann GET /\n[{YMS}] ann GET /\n")
written("log_column", "a.log", "".join(f"ann GET {S + 40 * n} x{n}\n" for n in range(6)))
written("log_named", "a.log", f"user=ann ts={S} bytes=1500000000\n")
written("json_seconds", "a.json", json.dumps([{"user": "ann", "time": S}, {"user": "bob", "time": YS}]))  # fmt: skip
written("json_milliseconds", "a.json", json.dumps({"rows": [{"eventTime": MS, "user": "ann"}]}))
written("json_microseconds", "a.json", json.dumps({"_source": {"@timestamp": US}}))
written("json_nanoseconds", "a.json", json.dumps({"ts": str(NS)}))
written("json_list", "a.json", json.dumps({"x": [[S, 1], [S + 60, 2]]}))
written("json_columns", "a.json", json.dumps({"user": ["ann"] * 5, "clock": [S + n for n in range(5)]}))  # fmt: skip
written("json_iso", "a.json", json.dumps({"when": OLD.isoformat()}))
written("xml_epoch", "a.xml", f"<event><created>{MS}</created><user>ann</user></event>\n")
written("yaml_epoch", "state.dump", f"user: ann\nlast_seen: {S}\n")
written("temporary_folder", "tmp/x.tmp", log(OLD).decode())
written("crash_leftover", "work/events.parquet.tmp.swp", log(OLD).decode())
written("application_log", "logs/fairwatch-2026-11-01.log", "2025-11-02T09:30:00+00:00 unexpected failure\n")  # fmt: skip


@canary
def log_utf16(site: Path) -> str:
    return put(site, "export.csv", f"user,day\r\nann,{OLD:%Y-%m-%d}\r\n".encode("utf-16"))


@canary
def log_utf16_without_a_mark(site: Path) -> str:
    return put(site, "a.log", log(YOUNG, OLD).decode().encode("utf-16-be"))


@canary
def log_syslog_without_a_year(site: Path) -> str:
    name = put(site, "incoming/syslog", "Nov  2 09:30:00 proxy squid[7]: ann GET\n")
    os.utime(site / name, (OLD.timestamp() + 60, OLD.timestamp() + 60))
    return name


@canary
def log_long_line(site: Path) -> str:
    return put(site, "a.json", b'{"x":"' + b"a" * (3 << 20) + f'","time":{S}}}'.encode())


@canary
def mail_encoded(site: Path) -> str:
    body = base64.encodebytes(b"user,day\nann,2025-11-02\n").decode()
    head = "Subject: export\nMIME-Version: 1.0\nContent-Type: text/csv\n"
    return put(site, "spool/2.eml", f"{head}Content-Transfer-Encoding: base64\n\n{body}")


# Packed.
@canary
def packed_gz(site: Path) -> str:
    return put(site, "incoming/access.log-1.gz", gzip.compress(log(YOUNG, OLD)))


@canary
def packed_gz_twice(site: Path) -> str:
    return put(site, "a.gz", gzip.compress(gzip.compress(log(OLD))))


@canary
def packed_bz2(site: Path) -> str:
    return put(site, "a.bz2", bz2.compress(log(OLD)))


@canary
def packed_xz(site: Path) -> str:
    return put(site, "a.xz", lzma.compress(log(OLD)))


@canary
def packed_zstd(site: Path) -> str:
    return put(site, "a.zst", bytes(pa.Codec("zstd").compress(log(OLD), asbytes=True)))


@canary
def packed_lz4(site: Path) -> str:
    return put(site, "a.lz4", bytes(pa.Codec("lz4").compress(log(OLD), asbytes=True)))


def zipped(*members: tuple[str, bytes]) -> bytes:
    """A zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def tarred(*members: tuple[str, bytes], mode: str = "w:gz") -> bytes:
    """A tar archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


@canary
def packed_zip_nested(site: Path) -> str:
    inner = zipped(("inner.log.gz", gzip.compress(log(OLD))))
    return put(site, "all.zip", zipped(("a.txt", b"fine"), ("deep/inner.zip", inner)))


@canary
def packed_tar(site: Path) -> str:
    return put(site, "backup.tar.gz", tarred(("site/a.log", log(YOUNG, OLD))))


@canary
def packed_tar_of_zip(site: Path) -> str:
    return put(site, "b.tar", tarred(("x.zip", zipped(("a.log", log(OLD)))), mode="w"))


@canary
def packed_parquet(site: Path) -> str:
    made = io.BytesIO()
    pq.write_table(pa.table({"t": pa.array([OLD], pa.timestamp("us", "UTC"))}), made)
    return put(site, "a.zip", zipped(("lake/x.parquet", made.getvalue())))


@canary
def packed_database(site: Path) -> str:
    path = Path(put(site, "t.db", ""))
    with sqlite3.connect(site / path) as database:
        database.execute("CREATE TABLE t (at TEXT)")
        database.execute("INSERT INTO t VALUES ('2025-11-02')")
    database.close()
    content = (site / path).read_bytes()
    (site / path).unlink()
    return put(site, "copy.db.gz", gzip.compress(content))


@canary
def pack_old(site: Path) -> str:
    rows = ("C-1/data/rows.csv", b"time,user\n2025-11-02T09:00:00.000Z,ann\n")
    policy = ("C-1/data/configuration/policy.json", b'"2014-04-01"')
    return put(site, "evidence/C-1.zip", zipped(("C-1/bagit.txt", b""), rows, policy))

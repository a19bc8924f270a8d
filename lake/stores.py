"""STORES: what a site keeps and where, and by which clocks it ages; purge, proof and docs walk it."""

from dataclasses import dataclass
from typing import Literal

from lake.datasets import DATASETS, PERSONAL, Dataset


@dataclass(frozen=True)
class Store:
    """A part of the site folder: which files it claims, how their age is told, how they go.

    `look`: how the verifier reads event times out of its files (docs/verify.md): `database` is
    ours, `pages` and `archive` (of pages) word dates that are of no event with a no-break space,
    `ledger` ages by its acts' own times, `made` by when it was made, `nothing` holds no events; the
    others by content alone;
    `goes`: how retention removes what is overdue; `release`: not by age, for a legal hold is on it.
    """

    name: str
    claims: tuple[str, ...]
    look: Literal["parquet", "database", "text", "pages", "archive", "ledger", "made", "nothing"]
    goes: Literal["partition", "row", "file", "segment", "release", "never"]
    keep: str | None
    holds: str


def _partitions(dataset: Dataset) -> tuple[str, ...]:
    """Where a dataset's partitions lie: in the lake, or a restricted person's apart from it."""
    apart = (f"restricted/*/*/{dataset.name}-*.parquet",) if dataset in PERSONAL else ()
    return (f"lake/{dataset.name}/*/*.parquet", *apart)


STORES: tuple[Store, ...] = (
    *(
        Store(d.name, _partitions(d), "parquet", "partition", d.keep, d.holds)
        for d in DATASETS.values()
    ),
    Store(
        "holds",
        ("holds/*/*/*.parquet",),
        "parquet",
        "release",
        None,
        "copies of one person's rows under a legal hold, sealed by a key of its own; gone with its release",
    ),
    Store(
        "access",
        ("access/*.zip",),
        "archive",
        "file",
        "access",  # no setting: as long as what is kept longest, for all of it is in there
        "what is held on a person, bundled for that person; due with its oldest event",
    ),
    Store(
        "state",
        ("state/fairwatch.db", "state/fairwatch.db-wal", "state/fairwatch.db-shm"),
        "database",
        "row",
        None,
        "catalogue, stream positions, runs, cases, findings; each table by its own clock",
    ),
    Store(
        "keys",
        ("keys/ring.db", "keys/ring.db-journal", "keys/*.key", "keys/*.key.next"),
        "database",
        "row",
        None,
        "day keys, wrapped by the master key; a day's goes with its partitions",
    ),
    Store(
        "ledger",
        ("ledger/*.jsonl", "ledger/heads.json", "ledger/heads.tmp", "ledger/.lock"),
        "ledger",
        "segment",
        "ledger",
        "who did what; a segment goes when its first act is due, leaving its head",
    ),
    Store(
        "checkpoints",
        ("checkpoints/*.txt", "checkpoints/*.tsr"),
        "made",
        "file",
        "ledger",
        "signed: how many acts the ledger had and the root over them, with time stamps",
    ),
    Store(
        "certificates",
        ("certificates/*.zip",),
        "made",
        "file",
        "certificates",
        "what was removed and what remained, signed; holds no personal data",
    ),
    Store(
        "signing",
        (
            *("keys/signing.pem", "keys/signing.pub.pem", "keys/rotations/*.txt"),
            *("keys/next.pem", "keys/*.tmp", "keys/rotations/*.tmp"),
        ),
        "nothing",
        "never",
        None,
        "the key that signs checkpoints and certificates, and how it was changed; holds no events",
    ),
    Store("reports", ("reports/**",), "pages", "file", "reports", "weekly pages for managers"),
    Store(
        "evidence",
        ("evidence/**",),
        "archive",
        "file",
        "evidence",
        "packs built for approved cases; due with their oldest event",
    ),
    Store(
        "calibration",
        ("calibration/*",),
        "text",
        "file",
        "calibration",
        "what a consenting volunteer did in the script of `fairwatch calibrate`, and the error found",
    ),
    Store("logs", ("logs/**",), "text", "file", "logs", "Fairwatch's own log, without host names"),
    Store(
        "work",
        ("work/**",),
        "parquet",
        "file",
        "events",
        "files being written, and what a killed run left; emptied by every run",
    ),
    Store(
        "incoming",
        ("incoming/**",),
        "text",
        "never",
        "events",
        "logs delivered here; Fairwatch only reads them, whoever delivers them takes them away",
    ),
    Store(
        "lists",
        ("lists/*",),
        "nothing",
        "never",
        None,
        "imported site lists: digests of hosts and where they are from; holds no events",
    ),
    Store(
        "configuration",
        (
            *("*.yaml", "*.yml", "people*.csv", "leave*.csv", "devices*.csv", "addresses*.csv"),
            "formats/*.yaml",
            *("*.lock", ".lock"),
        ),
        "nothing",
        "never",
        None,
        "written by hand; holds no events",
    ),
)


@dataclass(frozen=True)
class Elsewhere:
    """What leaves the site folder, or is looked for in vain in it: nobody's look reaches it."""

    name: str
    what: str
    ends: str


ELSEWHERE: tuple[Elsewhere, ...] = (
    Elsewhere(
        "backups",
        "copies of the site folder, and snapshots of its disk",
        "by their own expiry; partitions in them cannot be read once their day's key is destroyed",
    ),
    Elsewhere(
        "object-store versions",
        "older versions and deleted objects of a bucket the folder or its backups are in",
        "by the bucket's own rule for old versions; sealed partitions with their key. A look lists files, "
        "not versions",
    ),
    Elsewhere(
        "mail",
        "pages and alarms handed to the SMTP server; there is no spool here",
        "by the recipients' own rules. A mail file put into the site folder is looked into",
    ),
    Elsewhere(
        "exports",
        "what a command printed or handed over (`hold export`, a bundle or pack that was given), where a person put it",
        "by that person. Put into the site folder it is claimed by nobody, and named once it is old",
    ),
    Elsewhere(
        "logs as delivered",
        "the proxy's own files outside incoming/, on servers and in buckets: only read",
        "by the proxy's rotation",
    ),
    Elsewhere(
        "downloads",
        "a list under way, in the system's folder for temporary files; holds no events",
        "with the command",
    ),
    Elsewhere(
        "caches",
        "none: DuckDB's spill lies in work/ and goes with the question, or with the next run",
        "-",
    ),
)


@dataclass(frozen=True)
class Clocked:
    """A state table whose rows grow old: the column that tells it, in which form, and its keep."""

    table: str
    column: str
    form: Literal["ms", "iso"]
    keep: str


CLOCKED: tuple[Clocked, ...] = (
    Clocked("file", "newest", "ms", "events"),
    Clocked("stream", "newest", "ms", "events"),
    Clocked("arrival", "read", "iso", "events"),
    Clocked("run", "started", "iso", "logs"),
    Clocked("alarm", "raised", "iso", "logs"),
    Clocked("cases", "asked", "iso", "cases"),
    Clocked("pack", "oldest", "iso", "evidence"),
    Clocked("finding", "first_day", "iso", "findings"),
    Clocked("review", "first_day", "iso", "findings"),
    Clocked("hold", "released", "iso", "cases"),
    Clocked("rights", "last_day", "iso", "rights"),
    Clocked("aside", "first_day", "iso", "findings"),
    Clocked("tombstone", "purged", "iso", "ledger"),
    Clocked("outbox", "time", "iso", "logs"),
)
"""A test holds this against the tables: a table with a time and without a row here fails it."""

TIMELESS = ("part", "meta", "apscheduler_jobs", "master")
"""Tables of Fairwatch's databases without a clock: settings, and names of days of files or keys."""

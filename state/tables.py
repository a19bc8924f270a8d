"""The relational side of a site: what the tables are and which of their columns hold time."""

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 3
MIGRATIONS: dict[int, tuple[str, ...]] = {
    2: ('ALTER TABLE part ADD COLUMN "key" VARCHAR',),
    3: (),  # tables of holds and rights, made when they are missing
}
"""What makes a database of the version before into one of this; each runs in one transaction."""

METADATA = MetaData()

META = Table(
    "meta",
    METADATA,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

PART = Table(
    "part",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("dataset", String, nullable=False),
    Column("day", String, nullable=False),  # UTC day, or the organisation's for daily sums
    Column("path", String, nullable=False, unique=True),  # relative to the site folder
    # live | restricted (kept apart) | held (a legal hold's copy) | purging; readers see `live` alone
    Column("state", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("oldest", Integer, nullable=False),  # event time, milliseconds since the epoch, UTC
    Column("newest", Integer, nullable=False),
    Column("made_from", String, nullable=False),  # what it was derived from, or the stream
    Column("key", String),  # id of the day key it is sealed with; null: it is plain
)
Index("part_by_day", PART.c.dataset, PART.c.day)

TOMBSTONE = Table(
    "tombstone",
    METADATA,
    Column("dataset", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("purged", String, nullable=False),
)

STREAM = Table(
    "stream",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("head", String, nullable=False),  # SHA-256 of the first line
    Column("offset", Integer, nullable=False),  # bytes (after decompression) that are in the lake
    Column("marks", LargeBinary, nullable=False),  # see ingest/streams.py
    Column("newest", Integer, nullable=False),  # event time, milliseconds
)
Index("stream_by_head", STREAM.c.head)

FILE = Table(
    "file",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("stream", Integer, nullable=False),
    Column("source", String, nullable=False),
    Column("path", String, nullable=False),
    Column("sha256", String, nullable=False),  # of the file as it lay there; empty while reading
    Column("format", String, nullable=False),
    Column("first_line", Integer, nullable=False),  # 1-based number of the first line taken
    Column("lines", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("ignored", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("expired", Integer, nullable=False),
    Column("newest", Integer, nullable=False),  # event time, milliseconds; 0 while unknown
    Column("read", String, nullable=False),  # when, UTC
)

ARRIVAL = Table(
    "arrival",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("source", String, nullable=False),
    Column("place", String, nullable=False),  # digest of the inode or address
    Column("mark", String, nullable=False),  # digest of size and time of change
    Column("streams", Text, nullable=False),  # JSON: the streams its lines are in
    Column("lines", Integer, nullable=False),
    Column("format", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("read", String, nullable=False),  # when it was read to its end, UTC
)
Index("arrival_by_place", ARRIVAL.c.source, ARRIVAL.c.place)

RUN = Table(
    "run",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("job", String, nullable=False),
    Column("step", String, nullable=False),
    Column("started", String, nullable=False),
    Column("finished", String),
    Column("outcome", String, nullable=False),  # running | done | failed | taken up again
    Column("message", Text, nullable=False),
)

ALARM = Table(
    "alarm",
    METADATA,
    Column("key", String, primary_key=True),
    Column("raised", String, nullable=False),
    Column("message", Text, nullable=False),
)

CASE = Table(
    "cases",
    METADATA,
    Column("id", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("first_day", String, nullable=False),
    Column("last_day", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("asked_by", String, nullable=False),
    Column("asked", String, nullable=False),
    Column("approved_by", String),
    Column("approved", String),
    Column("closed", String),
)

PACK = Table(
    "pack",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("case", String, nullable=False),
    Column("path", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("built", String, nullable=False),
    Column("oldest", String, nullable=False),  # first day it holds
)

FINDING = Table(
    "finding",
    METADATA,
    Column("id", String, primary_key=True),
    Column("rule", String, nullable=False),
    Column("person", String, nullable=False),
    Column("week", String, nullable=False),
    Column("first_day", String, nullable=False),
    Column("last_day", String, nullable=False),
    Column("body", Text, nullable=False),  # the finding as JSON
    Column("made", String, nullable=False),
)

REVIEW = Table(
    "review",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("finding", String, nullable=False),
    Column("person", String, nullable=False),
    Column("week", String, nullable=False),
    Column("first_day", String, nullable=False),
    Column("act", String, nullable=False),  # dismiss | note | refer | contest
    Column("reason", Text, nullable=False),
    Column("by", String, nullable=False),
    Column("time", String, nullable=False),
    Column("facts", String, nullable=False),  # digest of what the finding rested on then
)
Index("review_by_finding", REVIEW.c.finding)

HOLD = Table(
    "hold",
    METADATA,
    Column("id", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("first_day", String, nullable=False),
    Column("last_day", String, nullable=False),
    Column("reason", String, nullable=False),  # a word of holds.REASONS
    Column("note", Text, nullable=False),
    Column("owner", String, nullable=False),
    Column("placed", String, nullable=False),
    Column("placed_by", String, nullable=False),
    Column("review", String, nullable=False),  # the day by which somebody looks at it again
    Column("released", String),
    Column("released_by", String),
    Column("gone", String),  # when its copy and key were found to be gone
)

RIGHTS = Table(
    "rights",
    METADATA,
    Column("id", String, primary_key=True),
    Column("deed", String, nullable=False),  # access | erasure | restriction
    Column("person", String),  # null once an erasure is done
    Column("salt", String),  # of an erasure: what late lines are told by
    Column("digest", String),
    Column("first_day", String, nullable=False),
    Column("last_day", String, nullable=False),
    Column("request", String, nullable=False),  # the organisation's own reference
    Column("by", String, nullable=False),
    Column("asked", String, nullable=False),
    Column("state", String, nullable=False),  # under way | done | lifting | lifted
)

ASIDE = Table(
    "aside",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("restriction", String, nullable=False),
    Column("kind", String, nullable=False),  # the table it was taken from
    Column("first_day", String, nullable=False),
    Column("row", Text, nullable=False),  # a record of a restricted person, as JSON
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("act", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("time", String, nullable=False),
    Column("facts", Text, nullable=False),
)

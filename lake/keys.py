"""Day keys: every partition is sealed with the random key of its dataset and day, and opened by it."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from pyarrow.fs import LocalFileSystem
from sqlalchemy import Connection

from errors import NoKey
from lake import catalogue
from lake.datasets import INSTANT, Dataset
from lake.master import KEY_BYTES, Custody, name_of
from lake.ring import DayKey, Master, Ring

ALWAYS = timedelta(days=3650)
"""How long pyarrow keeps the object it asks for keys, not keys: wrapped once, it remembers none, and a
destroyed one is gone in this process as well. A shorter life would have it made anew under a lock."""

BATCH_ROWS = 1 << 18
"""Rows of a batch: large enough for vectors, small beside a row group."""

HOLD = "hold"
"""What stands in a dataset's place in the name of a hold's key, and the hold's id in the day's."""


@dataclass(frozen=True)
class Seal:
    """What a partition is written with: the key's id for the catalogue, and pyarrow's properties."""

    key: str
    properties: Any


class DayKeys:
    """Seals partitions and opens them; partitions written plain are opened as they are."""

    def __init__(self, ring: Ring, custody: Custody | None, *, sealing: bool) -> None:
        """`custody` None: there is no master key; `sealing` False: new partitions are plain."""
        self.ring, self.custody, self.sealing = ring, custody, sealing
        self._master: bytes | None = None
        self._factory = pe.CryptoFactory(lambda _: _Wrapping(self))

    def seal(self, dataset: str, day: date | str, *, fresh: bool = False) -> Seal | None:
        """The day's key for writing a partition, made where there is none; None: write it plain.

        `fresh`: by a new key of the day, so that the one before it can be destroyed. A legal hold has
        one key for all its copies: `seal(HOLD, its id)`.
        """
        if not self.sealing:
            return None
        found = self.ring.newest(dataset, str(day))
        if found is None or fresh:
            found = self._made(dataset, day, found.number + 1 if found else 1)
        options = pe.EncryptionConfiguration(
            footer_key=found.id,
            uniform_encryption=True,
            encryption_algorithm="AES_GCM_V1",
            plaintext_footer=False,
            # Wrapped twice, pyarrow would keep the outer key: the file could be read after it is gone.
            double_wrapping=False,
            cache_lifetime=ALWAYS,
            data_key_length_bits=256,
        )
        properties = self._factory.file_encryption_properties(pe.KmsConnectionConfig(), options)
        return Seal(found.id, properties)

    def properties(self) -> Any:
        """What `pyarrow.parquet` needs to read a sealed file; plain files are read with it as well."""
        return self._factory.file_decryption_properties(
            pe.KmsConnectionConfig(), pe.DecryptionConfiguration(cache_lifetime=ALWAYS)
        )

    def open(self, path: Path) -> pq.ParquetFile:
        """A partition, sealed or plain. Raises NoKey where its key is gone."""
        return pq.ParquetFile(path, decryption_properties=self.properties())

    def dataset(self, paths: Sequence[Path], schema: pa.Schema) -> ds.Dataset:
        """Partitions as one Arrow dataset; columns a file has not got are null.

        All footers are opened here, one after the other: pyarrow asks for keys while it holds a lock
        of its own, and its scanner waits for that lock while it holds Python's. Left to the scan, the
        two wait for each other for ever, now and then. Afterwards no key is asked for any more.
        """
        config = ds.ParquetDecryptionConfig(
            self._factory,
            pe.KmsConnectionConfig(),
            pe.DecryptionConfiguration(cache_lifetime=ALWAYS),
        )
        options = ds.ParquetFragmentScanOptions(decryption_config=config)
        form = ds.ParquetFileFormat(default_fragment_scan_options=options)
        here = LocalFileSystem()
        fragments = [form.make_fragment(str(path), here) for path in paths]
        for fragment in fragments:
            fragment.ensure_complete_metadata()
        return _Frugal(fragments, schema, form, here)

    def batches(
        self, path: Path, dataset: Dataset, columns: Sequence[str], since: datetime
    ) -> Iterator[pa.RecordBatch]:
        """Columns of a partition's rows from an instant on, a batch at a time; words by dictionary.

        A column that the file has not got is null. Nothing is read ahead: Arrow's own scanner holds
        half a GB where what takes the rows is slower than it.
        """
        schema = pa.schema([dataset.schema.field(name) for name in columns])
        start = pa.scalar(since, INSTANT)
        with pq.ParquetFile(
            path, decryption_properties=self.properties(), pre_buffer=False
        ) as file:
            there = [name for name in columns if name in file.schema_arrow.names]
            groups = [*_late(file.metadata, dataset.clock, since)]
            for batch in file.iter_batches(BATCH_ROWS, groups, there, use_threads=False):
                early = pc.less(batch[dataset.clock], start)
                rows = batch.filter(pc.invert(early)) if pc.any(early).as_py() else batch
                nothing = {n: pa.nulls(rows.num_rows, schema.field(n).type) for n in columns}
                found = [rows[n] if n in there else nothing[n] for n in columns]
                yield pa.record_batch(found, names=[*columns]).cast(schema)

    def require(self, ids: Iterable[str | None]) -> None:
        """Raise NoKey unless the master key is at hand and all these day keys are in the ring."""
        wanted = {id_ for id_ in ids if id_ is not None}
        if not wanted:
            return
        missing = sorted(wanted - {key.id for key in self.ring.day_keys()})
        if missing:
            raise self._gone(missing[0])
        self.unlock()

    def unlock(self) -> bytes:
        """The master key, checked against the ring. Raises NoKey."""
        if self._master is None:
            self._master = self._unlocked()
        return self._master

    def unwrapped(self, id_: str) -> bytes:
        """A day's key itself: 32 bytes. Raises NoKey."""
        for _ in range(2):
            found = self.ring.find(id_)
            if found is None:
                raise self._gone(id_)
            try:
                return aes_key_unwrap(self.unlock(), found.wrapped)
            except InvalidUnwrap:
                self._master = None  # another process may have rotated it since
        raise NoKey(
            f"{self.ring.path}: the key {id_} was changed there; put back the copy of the ring made "
            f"last."
        )

    def destroy(self, ids: Iterable[str]) -> None:
        """Forget day keys for good: what they sealed cannot be read again, wherever a copy lies."""
        self.ring.destroy(ids)
        self._factory = pe.CryptoFactory(lambda _: _Wrapping(self))

    def rotate(self) -> tuple[str, str]:
        """Wrap all day keys by a new master key; the ids of the old and the new one.

        No partition is written anew. Killed at any point, either key opens the ring, and the file
        or keyring holds the one that does.
        """
        day_keys = {key.id: self.unwrapped(key.id) for key in self.ring.day_keys()}
        old = self.unlock()
        custody = self._custody()
        new, noted = custody.make()
        wrapped = {id_: aes_key_wrap(new, key) for id_, key in day_keys.items()}
        self.ring.rewrap(Master(name_of(new), noted, None), wrapped)
        custody.settle()
        self._master = new
        return name_of(old), name_of(new)

    def _made(self, dataset: str, day: date | str, number: int) -> DayKey:
        id_ = f"{dataset}-{day}-{os.urandom(4).hex()}"
        while True:
            master = self.unlock()
            wrapped = aes_key_wrap(master, os.urandom(KEY_BYTES))
            made = DayKey(id_, dataset, str(day), number, wrapped)
            if self.ring.add(made, name_of(master)):
                return made
            self._master = None  # rotated since, by another process

    def _unlocked(self) -> bytes:
        custody, known = self._custody(), self.ring.master()
        found = custody.keys(known.wrapped if known else None)
        if known is None:
            return self._first(custody, found)
        names = [name_of(key) for key in found]
        if known.id not in names:
            raise self._locked(custody, known, names)
        at = names.index(known.id)
        if at:  # a rotation was cut short between the ring and the key's place
            custody.settle()
        return found[at]

    def _first(self, custody: Custody, found: list[bytes]) -> bytes:
        if found:
            key, noted = found[0], None
        else:
            key, noted = custody.make()
            custody.settle()
        self.ring.begin(Master(name_of(key), noted, None))
        return key

    def _custody(self) -> Custody:
        if self.custody is None:
            raise NoKey(
                "This site holds sealed partitions, but fairwatch.yaml does not say where their "
                "master key is; put back its `encryption`."
            )
        return self.custody

    def _locked(self, custody: Custody, known: Master, names: list[str]) -> NoKey:
        told = f"holds another one ({names[0]})" if names else "holds none"
        return NoKey(
            f"The master key {known.id} is needed, and {custody.place} {told}. Put your copy of it "
            f"there; without it the {len(self.ring.day_keys())} day keys cannot be used."
        )

    def _gone(self, id_: str) -> NoKey:
        return NoKey(
            f"The key {id_} is not in {self.ring.path}: its day was purged, or the ring is older "
            f"than the lake. In the second case put back the ring's copy of the same night."
        )


def spent(
    connection: Connection, ring: Ring, first: Mapping[str, date], holds: Collection[str]
) -> list[str]:
    """Keys nothing kept needs and whose day is over, or has a newer key, or whose hold was released.

    `first`: the first day kept, by dataset; `holds`: those in force. Keys of other days stay though
    nothing needs them yet: a killed run made them, or the catalogue is older than the ring. A ring put
    back from a copy holds keys of purged days again; they are among these.
    """
    keys = ring.day_keys()
    newest = {(key.dataset, key.day): key.id for key in keys}
    needed = catalogue.needed_keys(connection)
    gone = {(name, day) for name in first for day in catalogue.buried(connection, name)}

    def over(key: DayKey) -> bool:
        if key.dataset == HOLD:
            return key.day not in holds
        limit = first.get(key.dataset)
        past = limit is not None and key.day < limit.isoformat()
        return past or (key.dataset, key.day) in gone or newest[key.dataset, key.day] != key.id

    return [key.id for key in keys if key.id not in needed and over(key)]


def _late(metadata: pq.FileMetaData, clock: str, since: datetime) -> Iterator[int]:
    """Row groups that may have rows from an instant on."""
    at = metadata.schema.names.index(clock)
    for group in range(metadata.num_row_groups):
        bounds = metadata.row_group(group).column(at).statistics
        if bounds is None or not bounds.has_min_max or bounds.max >= since:
            yield group


class _Frugal(ds.FileSystemDataset):  # type: ignore[misc]
    """Read ahead by two batches of one file: Arrow's own sixteen of four hold half a GB at once, which
    no limit of DuckDB's counts, and take three times the CPU."""

    def scanner(self, **options: Any) -> ds.Scanner:
        return super().scanner(**{**options, "batch_readahead": 2, "fragment_readahead": 1})


class _Wrapping(pe.KmsClient):  # type: ignore[misc]
    """Wraps each file's own key by its day's (RFC 3394), as pyarrow asks for it."""

    def __init__(self, keys: DayKeys) -> None:
        super().__init__()
        self._keys = keys

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        return aes_key_wrap(self._keys.unwrapped(master_key_identifier), key_bytes).hex()

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        try:
            wrapped = bytes.fromhex(wrapped_key)
            return aes_key_unwrap(self._keys.unwrapped(master_key_identifier), wrapped)
        except (InvalidUnwrap, ValueError):
            raise NoKey(f"A partition sealed by {master_key_identifier} is damaged.") from None


def plain(site: Path) -> DayKeys:
    """For a site without keys: partitions are written and read plain."""
    return DayKeys(Ring(site / "keys" / "ring.db"), None, sealing=False)

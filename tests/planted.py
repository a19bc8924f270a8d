"""Every place a site folder could hold a name: bytes, Parquet, SQLite, archives, packed files, in several spellings."""

import bz2
import gzip
import io
import lzma
import shutil
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from factory import keys_of

DEEPEST = 4


def spellings(name: str) -> set[bytes]:
    """A name as it may stand in a file: UTF-8, UTF-16 both ways, punycode, percent-encoded."""
    forms = {name, name.lower(), name.upper(), name.replace(".", "%2E"), name.replace(".", "%2e")}
    if not name.isascii():
        forms |= {name.encode("idna").decode()}
        forms |= {"".join(f"%{b:02X}" if b > 127 else chr(b) for b in name.encode())}
    else:
        forms |= {name.encode().decode("idna")} if "xn--" in name else set()
    return {
        form.encode(code) for form in forms for code in ("utf-8", "utf-16-le", "utf-16-be")
    }  # fmt: skip


def search(folder: Path, names: Iterable[str], *, leave_out: Iterable[str] = ()) -> list[str]:
    """`file (where inside): name` for every planted name found anywhere under a folder.

    File names count as well. `leave_out`: subfolders that hold what was delivered, such as `incoming`.
    """
    wanted = {name: spellings(name) for name in names}
    sealed = (folder / "fairwatch.yaml").is_file()
    opening = keys_of(folder).properties() if sealed else None
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] in set(leave_out) or path.is_dir():
            continue
        chunks = [("name", str(relative).encode()), *_chunks(path.read_bytes(), 0, opening)]
        if chunks[1][1].startswith(b"SQLite format 3\0"):
            chunks += [("rows", cell) for cell in _rows(path)]
        for where, raw in chunks:
            low = raw.lower()
            for name, forms in wanted.items():
                if any(form.lower() in low for form in forms):
                    found.append(f"{relative} ({where}): {name}")
    return sorted(set(found))


def _chunks(raw: bytes, depth: int, opening: Any) -> Iterator[tuple[str, bytes]]:
    """The bytes themselves (a database's free pages and journal among them), and all they pack."""
    yield "bytes", raw
    if depth >= DEEPEST:
        return
    for where, inner in _unpacked(raw, opening):
        for deeper, piece in _chunks(inner, depth + 1, opening):
            yield f"{where}, {deeper}", piece


def _unpacked(raw: bytes, opening: Any) -> Iterator[tuple[str, bytes]]:
    if len(raw) > 12 and raw[:4] == raw[-4:] and raw[:4] in (b"PAR1", b"PARE"):
        yield from (("parquet", cell) for cell in _parquet(raw, opening))
    elif raw.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for member in archive.namelist():
                yield f"zip {member}", member.encode()
                yield f"zip {member}", archive.read(member)
    elif raw[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            for one in tar:
                file = tar.extractfile(one) if one.isfile() else None
                yield f"tar {one.name}", file.read() if file else b""
    elif raw.startswith(b"\x1f\x8b"):
        yield "gzip", gzip.decompress(raw)
    elif raw.startswith(b"BZh"):
        yield "bzip2", bz2.decompress(raw)
    elif raw.startswith(b"\xfd7zXZ\x00"):
        yield "xz", lzma.decompress(raw)
    elif raw.startswith(b"\x28\xb5\x2f\xfd"):
        yield "zstd", pa.CompressedInputStream(pa.BufferReader(raw), "zstd").read()


def _parquet(raw: bytes, opening: Any) -> Iterator[bytes]:
    """All values, the dictionaries with entries no row uses, bounds and metadata."""
    words = _words(raw, opening)
    with pq.ParquetFile(
        io.BytesIO(raw), read_dictionary=words, decryption_properties=opening
    ) as file:
        yield str(file.schema_arrow.metadata).encode()
        meta = file.metadata
        for group in range(meta.num_row_groups):
            for column in range(meta.num_columns):
                statistics = meta.row_group(group).column(column).statistics
                yield repr(statistics).encode()
            for column in file.read_row_group(group).columns:
                for chunk in column.chunks:
                    values = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
                    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
                        yield "\n".join(str(v) for v in values.to_pylist()).encode()


def _words(raw: bytes, opening: Any) -> list[str]:
    schema = pq.read_schema(io.BytesIO(raw), decryption_properties=opening)
    return [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_dictionary(f.type)]


def _rows(path: Path) -> Iterator[bytes]:
    """Cells as SQL sees them: long ones lie scattered over pages in the file.

    In a copy: what a kill left open has to be rolled back before it can be read.
    """
    folder = tempfile.mkdtemp()
    for one in path.parent.glob(f"{path.name}*"):
        shutil.copy(one, folder)
    connection = sqlite3.connect(Path(folder) / path.name)
    try:
        tables = [r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]  # fmt: skip
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield "\n".join(
                    c.decode("latin-1") if isinstance(c, bytes) else str(c) for c in row
                ).encode()
    finally:
        connection.close()
        shutil.rmtree(folder)

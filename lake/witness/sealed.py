"""Sealed partitions, opened with keys somebody was given (`fairwatch keys export DAY`)."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lake.witness.bound import Closed


def opener_of(keys: Path) -> Callable[[Path], pq.ParquetFile]:
    """Opens partitions with the keys in a JSON file; one whose key is not in it raises Closed."""
    encryption = import_module("pyarrow.parquet.encryption")
    known = {name: base64.b64decode(key) for name, key in json.loads(keys.read_text()).items()}
    factory = encryption.CryptoFactory(lambda _: _client(encryption, known))
    settings = encryption.DecryptionConfiguration(cache_lifetime=timedelta(0))

    def opened(path: Path) -> pq.ParquetFile:
        properties = factory.file_decryption_properties(encryption.KmsConnectionConfig(), settings)
        return pq.ParquetFile(path, decryption_properties=properties)

    return opened


def _client(encryption: Any, known: Mapping[str, bytes]) -> Any:
    """What pyarrow asks for a file's own key, wrapped by its day's (RFC 3394)."""
    unwrap = import_module("cryptography.hazmat.primitives.keywrap").aes_key_unwrap

    class Client(encryption.KmsClient):  # type: ignore[misc]
        def wrap_key(self, key: bytes, name: str) -> str:
            raise NotImplementedError

        def unwrap_key(self, wrapped: bytes | str, name: str) -> bytes:
            if name not in known:
                raise Closed(f"no key (destroyed): {name} is not among the keys given")
            text = wrapped.decode() if isinstance(wrapped, bytes) else wrapped
            return bytes(unwrap(known[name], bytes.fromhex(text)))

    return Client()

"""Lines of people who were erased: a log that comes late, or twice, does not bring them back."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from config.logins import normalised
from config.people import Person
from lake.datasets import EVENTS
from state.tables import RIGHTS
from subjects import Span, digest_of
from workspace import Workspace


@dataclass
class Erased:
    """Erased people's periods, each with what their name is told by."""

    spans: list[tuple[str, str, Span]] = field(default_factory=list)  # salt, digest
    known: Callable[[str], Person | None] = lambda _: None
    _names: dict[tuple[str, str], bool] = field(default_factory=dict)

    @classmethod
    def of(cls, ws: Workspace) -> "Erased":
        """Those whose days may still be written to."""
        with ws.state.read() as connection:
            rows = connection.execute(select(RIGHTS).where(RIGHTS.c.deed == "erasure")).all()
        return cls(
            [
                (r.salt, r.digest, Span.named(ws, "", r.first_day, r.last_day))
                for r in rows
                if r.salt and r.digest
            ],
            ws.people.login,
        )

    def without(self, table: pa.Table) -> pa.Table:
        """Rows of EVENTS that may be stored."""
        if not self.spans:
            return table
        for user in pc.unique(table["user"].cast(pa.string())).to_pylist():
            for salt, digest, span in self.spans:
                if user is not None and self._is(user, salt, digest):
                    mine = Span(user, span.first, span.last, span.start, span.end)
                    table = table.filter(pc.invert(mine.mask(table, EVENTS)))
        return table

    def _is(self, user: str, salt: str, digest: str) -> bool:
        key = (user, salt)
        found = self._names.get(key)
        if found is None:
            found = any(digest_of(name, salt) == digest for name in self._forms(user))
            if len(self._names) > 1_000_000:
                self._names.clear()
            self._names[key] = found
        return found

    def _forms(self, user: str) -> set[str]:
        """What a line's name may have been stored as: who left people.csv comes back as the log says it."""
        if self.known(user) is not None:
            return {user}
        return {user, user.casefold(), normalised(user).account}

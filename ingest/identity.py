"""Log user or address to person, with a grade that says how it is known.

`login`: the proxy asked for a name and people.csv knows it. `assigned`: no name, but people.csv
assigns the address to one person. `unlisted`: a name people.csv does not know. `address`: nothing
but an address; it never shows a name.
"""

from datetime import date
from typing import Literal

from config.people import People

Grade = Literal["login", "assigned", "unlisted", "address"]
LONGEST = 200


class Identities:
    """Answers once per user, address and day, and remembers."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._known: dict[tuple[str | None, str | None, int], tuple[str | None, Grade]] = {}

    def of(self, user: str | None, client: str | None, day: int) -> tuple[str | None, Grade]:
        """(person's user name, the log's own name or the address; grade); day: days since 1970."""
        key = (user, client, day)
        found = self._known.get(key)
        if found is None:
            if len(self._known) > 1_000_000:
                self._known.clear()
            found = self._known[key] = self._ask(user, client, date.fromordinal(day + EPOCH))
        return found

    def _ask(self, user: str | None, client: str | None, day: date) -> tuple[str | None, Grade]:
        if user:
            person = self._people.login(user, day)
            return (person.user, "login") if person else (user[:LONGEST], "unlisted")
        person = self._people.address(client, day) if client else None
        return (person.user, "assigned") if person else (client, "address")


EPOCH = date(1970, 1, 1).toordinal()

"""Other people's names in texts that somebody typed: masked before a text is given to a person."""

import re

from workspace import Workspace

WORD = re.compile(r"\w+")
MASK = "[somebody else]"
SHORTEST_PART = 3
"""A shorter part of a name (an initial, a particle) says nobody by itself."""


class Others:
    """Everybody in people.csv but one, by each of their names.

    A user, alias, address, e-mail or full name counts in any case; a part of a full name only as it
    is written there: `Will` is somebody, `will` is a word. What the person is called counts nowhere.
    """

    def __init__(self, ws: Workspace, person: str) -> None:
        own: set[tuple[str, ...]] = set()
        whole: set[tuple[str, ...]] = set()
        parts: set[str] = set()
        mine: set[str] = set()
        for row in ws.people.rows:
            texts = (row.user, row.name, row.email, *row.aliases, *row.addresses)
            found = {_words(text) for text in texts} - {()}
            names = {w for w in WORD.findall(row.name) if len(w) >= SHORTEST_PART}
            if row.user.casefold() == person.casefold():
                own |= found
                mine |= names
            else:
                whole |= found
                parts |= names
        self._whole = whole - own - {_words(person)}
        self._parts = parts - mine
        self._longest = max((len(w) for w in self._whole), default=0)

    def masked(self, text: str) -> str:
        """The text with everybody else's names covered."""
        words = list(WORD.finditer(text))
        plain = [w[0].casefold() for w in words]
        made, done, at = [], 0, 0
        while at < len(words):
            taken = self._named(plain, at) or int(words[at][0] in self._parts)
            if taken:
                made += [text[done : words[at].start()], MASK]
                done = words[at + taken - 1].end()
            at += taken or 1
        return "".join([*made, text[done:]])

    def _named(self, plain: list[str], at: int) -> int:
        """How many words from here on are somebody's name."""
        longest = min(self._longest, len(plain) - at)
        return next(
            (n for n in range(longest, 0, -1) if tuple(plain[at : at + n]) in self._whole), 0
        )


def _words(text: str) -> tuple[str, ...]:
    return tuple(w.casefold() for w in WORD.findall(text))

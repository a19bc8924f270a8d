"""Legal holds: one person's rows of a period, copied under a key of their own; all else goes on time."""

from holds.copying import copies, holder, make_final, missing, read, top_up
from holds.register import REASONS, Hold, hold, holds, refuse_unreviewed, review, unreviewed
from holds.standing import place, release, settle

__all__ = [
    "REASONS", "Hold", "copies", "hold", "holder", "holds", "make_final", "missing", "place", "read",
    "refuse_unreviewed", "release", "review", "settle", "top_up", "unreviewed",
]  # fmt: skip

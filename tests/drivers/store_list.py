"""docs/stores.md from the declaration: python tests/drivers/store_list.py > docs/stores.md"""

from lake.datasets import DATASETS
from lake.stores import CLOCKED, ELSEWHERE, STORES, TIMELESS

LOOKS = {
    "parquet": "columns of time; others only where nobody declared them",
    "database": "rows by the clocks below; free pages, gaps, journals",
    "text": "content",
    "pages": "content; a date whose day and month a no-break space joins is of no event",
    "archive": "every member, as pages; `data/configuration/` is of no event",
    "ledger": "each act's own time; the days it tells of are no events",
    "made": "when it was made; the days it tells of are no events",
    "nothing": "not: holds no events",
}
GOES = {
    "partition": "with its day: key destroyed, file removed",
    "row": "row by row; the file is scrubbed",
    "file": "with its oldest event",
    "segment": "with its first act, leaving its head",
    "release": "with the hold: key destroyed, file removed; not by age",
    "never": "never by Fairwatch",
}


def page() -> str:
    """The whole page."""
    stores = [
        f"| {s.name} | {', '.join(f'`{c}`' for c in s.claims)} | {s.holds} | {LOOKS[s.look]} "
        f"| {GOES[s.goes]} | {f'`{s.keep}`' if s.keep else '-'} |"
        for s in STORES
    ]
    datasets = [
        f"| {d.name} | `{d.clock}` | {d.day} | `{d.keep}` | "
        f"{', '.join(f'`{c}`' for c in d.personal) or '-'} |"
        for d in DATASETS.values()
    ]
    clocks = [
        f"| `{c.table}` | `{c.column}` ({'milliseconds' if c.form == 'ms' else 'ISO'}) | `{c.keep}` |"
        for c in CLOCKED
    ]
    elsewhere = [f"| {e.name} | {e.what} | {e.ends} |" for e in ELSEWHERE]
    timeless = ", ".join(f"`{t}`" for t in TIMELESS)
    return f"""\
# Stores

Made from the declarations in `lake/stores.py` and `lake/datasets.py` by `tests/drivers/store_list.py`; a
test holds it equal. They are walked by the code that writes, by the purge and by the look afterwards. A
file that no store claims is named by `fairwatch retention verify` once it holds something old; a test
runs every command and finds any file no store claims.

| store | files | holds | looked into | goes | kept (`retention`) |
| --- | --- | --- | --- | --- | --- |
{chr(10).join(stores)}

## Datasets

| dataset | clock | whose days | kept | personal columns |
| --- | --- | --- | --- | --- |
{chr(10).join(datasets)}

## Tables

| table | clock | kept |
| --- | --- | --- |
{chr(10).join(clocks)}

Without a clock (settings, and names of days of files or keys): {timeless}.

## Not reached

| what | | how it ends |
| --- | --- | --- |
{chr(10).join(elsewhere)}
"""


if __name__ == "__main__":
    print(page(), end="")

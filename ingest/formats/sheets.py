"""Exports as CSV whose rows hold log lines: of Splunk, Azure, Kibana, Graylog, Windows' Event Viewer.

Such a carrier is named `csv`, the delimiter, how many columns there are, which of them are the line
and its time (-1: none), and whether that time is UTC.
"""

import csv
import re
from datetime import datetime

from ingest.formats.lines import Lines

SHEET = "csv "
CELLS = (
    "_raw", "raw", "SyslogMessage", "RawData", "event.original", "message", "Message", "msg",
    "textPayload", "log", "event", "Event", "full_message", "rawEvent", "Raw Message", "Log Message",
    "raw_log", "rawLog", "Raw Log", "raw_message", "raw_event", "original_message", "syslog_message", "log_line",
    "Nachricht", "Meldung",
)  # fmt: skip
"""What exports call the column of the line, likeliest first."""
TIMES = (
    "_time", "@timestamp", "timestamp", "TimeGenerated [UTC]", "TimeGenerated", "TimeCreated", "time",
    "Time", "Timestamp", "receiveTimestamp", "date", "Datum und Uhrzeit", "Date et heure",
)  # fmt: skip
DATED = re.compile(r"\d{1,4}([./-] ?)\d{1,2}\1\d{1,4}\.?,? \d{1,2}:\d\d:\d\d")
PORTALS = ("%m/%d/%Y, %I:%M:%S.%f %p", "%m/%d/%Y, %I:%M:%S %p", "%b %d, %Y @ %H:%M:%S.%f")
"""How Azure's portal and Kibana write a time."""
WIDEST = 500
Held = tuple[list[str], list[int], list[str | None]]
"""The text of each record, the number of its line, and when its carrier says it was."""


def sheet(records: Lines) -> str | None:
    """The carrier's name, of a file that begins so; None where no column is the line."""
    head, second = (*records.texts[:2].to_pylist(), "", "")[:2]
    for delimiter in ",;\t|":
        names = [name.strip() for name in _cells(head, delimiter)]
        cells = _cells(second, delimiter)
        if not 1 < len(names) <= WIDEST or not 0 <= len(cells) - len(names) <= 1:
            continue
        line = next((names.index(name) for name in CELLS if name in names), None)
        if len(cells) > len(names):
            # Windows' Event Viewer names all columns but the last, which is the text.
            line = len(names)
        if line is None:
            continue
        dated = (n for n, cell in enumerate(cells) if n != line and DATED.match(cell))
        moment = next((names.index(name) for name in TIMES if name in names), next(dated, -1))
        utc = moment >= 0 and names[moment].endswith("[UTC]")
        return f"{SHEET}{delimiter} {len(cells)} {line} {moment} {int(utc)}"
    return None


def opened(lines: Lines, name: str) -> tuple[Held, list[int]]:
    """The lines of an export, and the numbers of those that are headers.

    A row with more or fewer columns is neither.
    """
    delimiter = name[len(SHEET)]
    count, at, moment, utc = map(int, name[len(SHEET) + 2 :].split(" "))
    texts: list[str] = []
    numbers: list[int] = []
    moments: list[str | None] = []
    headers: list[int] = []
    for line, number in zip(lines.texts.to_pylist(), lines.numbers.tolist(), strict=True):
        cells = _cells(line, delimiter)
        if len(cells) == count and cells[at].strip() and cells[at] not in CELLS:
            # What was a newline at the end of the cell is a blank.
            texts.append(cells[at].rstrip(" "))
            numbers.append(number)
            moments.append(_plain(cells[moment]) + "Z" * utc if moment >= 0 else None)
        elif (len(cells) == count and cells[at] in CELLS) or len(cells) == at == count - 1:
            headers.append(number)
    return (texts, numbers, moments), headers


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.rstrip("\r")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _plain(moment: str) -> str:
    for pattern in PORTALS:
        try:
            return datetime.strptime(moment, pattern).isoformat()
        except ValueError:
            continue
    return moment

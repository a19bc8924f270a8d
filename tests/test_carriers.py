"""A log line is the same in whatever carries it: JSON objects, headers, counted frames, stamps."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from ingest.formats import all_formats, recognise
from ingest.formats.block import Block, Given, Parsed
from ingest.formats.recognise import Wrapped

GIVEN = Given(zone=ZoneInfo("UTC"), latest=1_800_000_000_000)
SQUID = [
    f"17146446{n}.345   1006 10.1.1.{n} TCP_MISS/200 3400 GET http://www.example.org/{n} ann HIER_DIRECT/203.0.113.9 text/html"
    for n in (72, 73, 74)
]
FORTIGATE = [
    f'date=2024-05-02 time=10:11:{n} devname="FGT" tz="+0000" logid="0317013312" type="utm" subtype="webfilter" srcip=10.1.1.{n} srcport=50001 dstip=203.0.113.9 dstport=443 user="ann" service="HTTPS" hostname="www.example.org" url="/a" action="passthrough" sentbyte=120 rcvdbyte=3400'
    for n in (12, 13, 14)
]
ZSCALER = [
    json.dumps({"sourcetype": "zscalernss-web", "event": {"time": f"Thu May 02 10:11:{n} 2024", "tz": "GMT", "login": "ann@example.org", "cltip": f"10.1.1.{n}", "url": "www.example.org/a", "proto": "HTTPS", "action": "Allowed"}})
    for n in (12, 13, 14)
]  # fmt: skip
CEF = [
    f"CEF:0|Zscaler|NSSWeblog|5.7|Allowed|Allowed|3|act=Allowed app=HTTPS src=10.1.1.{n} in=3400 outcome=200 out=120 request=www.example.org/a rt=May 02 2024 10:11:12 suser=ann@example.org"
    for n in (12, 13, 14)
]
LINES = {"squid": SQUID, "fortigate": FORTIGATE, "zscaler": ZSCALER, "cef": CEF}
ISO = "2024-05-02T10:11:12.345678901Z"


def each(make: Callable[[str], object]) -> Callable[[list[str]], str]:
    """One carrier a line."""

    def wrapped(lines: list[str]) -> str:
        made = [make(line) for line in lines]
        return "\n".join(m if isinstance(m, str) else json.dumps(m) for m in made) + "\n"

    return wrapped


def docker(line: str) -> dict[str, str]:
    return {"log": line + "\n", "stream": "stdout", "time": ISO}


def sheet(head: str, row: str) -> Callable[[list[str]], str]:
    """An export as CSV: `row` with `{}` for the line, which is quoted."""

    def wrapped(lines: list[str]) -> str:
        rows = [row.replace("{}", '"' + line.replace('"', '""') + '"') for line in lines]
        return "\n".join([head, *rows]) + "\n"

    return wrapped


def syslog(line: str) -> str:
    return f"<134>May  2 10:11:12 gw proxy[7]: {line}"


CARRIERS: dict[str, Callable[[list[str]], str]] = {
    "bare": each(lambda line: line),
    "blank lines between": lambda lines: "\n\n".join(lines) + "\n\n",
    "CRLF": lambda lines: "\r\n".join(lines) + "\r\n",
    "Docker": each(docker),
    "journald": each(lambda line: {"__REALTIME_TIMESTAMP": "1714644672345678", "_HOSTNAME": "gw", "SYSLOG_IDENTIFIER": "proxy", "MESSAGE": line}),
    "journald, bytes": each(lambda line: {"__REALTIME_TIMESTAMP": "1714644672345678", "MESSAGE": list((line + "\0").encode())}),
    "Filebeat": each(lambda line: {"@timestamp": ISO, "host": {"name": "gw"}, "agent": {"type": "filebeat"}, "log": {"file": {"path": "/x"}, "offset": 1}, "message": line}),
    "Elastic's original": each(lambda line: {"@timestamp": ISO, "event": {"original": line, "dataset": "x"}, "message": "parsed"}),
    "Fluent Bit": each(lambda line: {"date": 1714644672.345, "log": line}),
    "Splunk HEC": each(lambda line: {"time": 1714644672.345, "host": "gw", "source": "/var/log/x", "sourcetype": "x", "event": line}),
    "Splunk export": each(lambda line: {"preview": False, "result": {"_raw": line, "_time": "2024-05-02 10:11:12.345 UTC", "host": "gw"}}),
    "Azure": each(lambda line: {"TimeGenerated": ISO, "Computer": "gw", "SyslogMessage": line}),
    "Google": each(lambda line: {"insertId": "1", "logName": "projects/p/logs/x", "timestamp": ISO, "textPayload": line}),
    "Vector": each(lambda line: {"file": "/x", "host": "gw", "message": line, "source_type": "file", "timestamp": ISO}),
    "Loki": each(lambda line: {"labels": {"job": "x"}, "line": line, "timestamp": ISO}),
    "CloudWatch subscription": lambda lines: json.dumps({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logEvents": [{"id": str(n), "timestamp": 1714644672345, "message": line} for n, line in enumerate(lines)]}) + "\n",
    "objects without newlines": lambda lines: "".join(json.dumps(docker(line)) for line in lines) + "\n",
    "Splunk's CSV": sheet('"_time","_raw",host', '"2024-05-02T10:11:12.000+0000",{},gw'),
    "Splunk's CSV, newlines in its cells": sheet('"_time",host,_raw', '"2024-05-02T10:11:12.000+0000","gw\nof ann",{}'),
    "Azure's CSV": sheet("TimeGenerated [UTC],Computer,SyslogMessage", '"5/2/2024, 10:11:12.345 AM",gw,{}'),
    "Kibana's CSV": sheet('"@timestamp",message', '"May 2, 2024 @ 10:11:12.345",{}'),
    "a CSV with tabs": sheet('Time\tEvent', '2024-05-02 10:11:12\t{}'),
    "Event Viewer's CSV": sheet("Level,Date and Time,Source", "Information,5/2/2024 10:11:12 AM,x,{}"),
    "Elastic's search": lambda lines: json.dumps({"took": 1, "hits": {"total": {"value": 3}, "hits": [{"_index": "x", "_source": {"@timestamp": ISO, "message": line}} for line in lines]}}) + "\n",
    "CloudWatch without newlines": lambda lines: "".join(json.dumps({"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "timestamp": 1714644672345, "message": line}]}) for line in lines) + "\n",
    "CRI": each(lambda line: f"{ISO} stdout F {line}"),
    "a time before each": each(lambda line: f"{ISO} {line}"),
    "RFC 3164": each(syslog),
    "RFC 5424": each(lambda line: f"<134>1 2024-05-02T10:11:12.345Z gw proxy 7 - - {line}"),
    "Kiwi's file": each(lambda line: f"2024-05-02 10:11:12\tLocal4.Notice\t10.0.0.1\t{line}"),
    "Kiwi's file, with the sender's header": each(lambda line: f"2024-05-02 10:11:12\tLocal4.Notice\t10.0.0.1\tMay  2 10:11:12 gw proxy[7]: {line}"),
    "a date with a blank": each(lambda line: f"2024-05-02 10:11:12.345 gw proxy[7]: {line}"),
    "a path for a tag": each(lambda line: f"May  2 10:11:12 gw /usr/sbin/proxy[7]: {line}"),
    "two headers": each(lambda line: f"<134>May  2 10:11:12 relay <134>May  2 10:11:12 gw proxy: {line}"),
    "counted frames": each(lambda line: f"{len(syslog(line))} {syslog(line)}"),
    "syslog in JSON": each(lambda line: {"timestamp": ISO, "message": syslog(line)}),
    "JSON in syslog": each(lambda line: syslog(json.dumps({"timestamp": ISO, "message": line}))),
    "Wazuh": each(lambda line: f"2024 May 02 10:11:12 (gw) any->/var/log/x.log {line}"),
    "Wazuh's JSON": each(lambda line: {"timestamp": "2024-05-02T10:11:12.345+0000", "agent": {"id": "001"}, "full_log": line, "location": "/x"}),
    "Chronicle": each(lambda line: {"log_text": line, "ts_rfc3339": ISO}),
    "CloudWatch Insights": each(lambda line: {"@timestamp": "2024-05-02 10:11:12.345", "@message": line, "@ptr": "x"}),
    "Event Hub": lambda lines: json.dumps({"records": [{"time": ISO, "category": "x", "properties": {"message": line}} for line in lines]}) + "\n",
    "OpenTelemetry": lambda lines: json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1714644672345000000", "body": {"stringValue": line}} for line in lines]}]}]}) + "\n",
    "Loki's push": lambda lines: json.dumps({"streams": [{"stream": {"job": "x"}, "values": [["1714644672345000000", line] for line in lines]}]}) + "\n",
    "Loki's answer": lambda lines: json.dumps({"status": "success", "data": {"resultType": "streams", "result": [{"stream": {}, "values": [["1714644672345000000", line]]} for line in lines]}}) + "\n",
    "Fluentd": each(lambda line: f"2024-05-02T10:11:12+00:00\tproxy\t{json.dumps({'message': line})}"),
    "structured data": each(lambda line: f'<134>1 2024-05-02T10:11:12.345Z gw proxy 7 ID1 [x@32473 a="b \\"c\\" ]"][y@1] {line}'),
    "said again": each(lambda line: f"May  2 10:11:12 gw proxy[7]: message repeated 3 times: [ {line}]"),
    "JSON in JSON in syslog": each(lambda line: syslog(json.dumps(docker(json.dumps({"message": line}))))),
}  # fmt: skip


def read(text: str) -> tuple[Parsed, str]:
    data = text.encode()
    found = recognise(data, all_formats(), GIVEN)
    assert found.format is not None, found.reason
    return found.format.parse(Block(data), GIVEN), found.format.name


@cache
def bare(kind: str) -> tuple[Parsed, str]:
    """What each carrier's reading is compared with."""
    return read("\n".join(LINES[kind]) + "\n")


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_line_in_a_carrier_is_the_line(kind: str, carrier: str) -> None:
    plain, name = bare(kind)
    carried, same = read(CARRIERS[carrier](LINES[kind]))
    assert same == name
    assert carried.rejects == []
    assert [{**r, "line": 0} for r in carried.rows.to_pylist()] == [{**r, "line": 0} for r in plain.rows.to_pylist()]  # fmt: skip


def test_docker_cuts_long_lines_and_they_are_whole_again() -> None:
    long = SQUID[0].replace("/72", "/" + "x" * 20_000)
    lines = [
        docker(SQUID[1]),
        {**docker(long), "log": long[:16384]},
        docker(long[16384:]),
        docker(SQUID[2]),
    ]
    parsed, _ = read("\n".join(map(json.dumps, lines)) + "\n")
    assert parsed.rows["line"].to_pylist() == [0, 1, 3] and not parsed.rejects
    assert dict(parsed.why) == {"the rest of a line": 1}
    assert len(parsed.rows["url"].to_pylist()[1]) > 20_000


def test_a_line_without_a_time_has_its_carriers() -> None:
    line = "vendor=Forcepoint product=Security action=permitted category=76 user=ann src_host=10.1.1.7 dst_host=www.example.org url=http://www.example.org/a"
    parsed, _ = read(json.dumps({"log": line, "stream": "stdout", "time": ISO}) + "\n")
    assert parsed.rows["time"].to_pylist() == [1714644672345]


def test_a_broken_time_is_not_replaced_by_the_carriers() -> None:
    line = SQUID[0].replace("1714644672.345", "17x4644672.345")
    text = "\n".join(json.dumps(docker(one)) for one in [*SQUID, line]) + "\n"
    parsed, _ = read(text)
    assert parsed.rows.num_rows == 3 and [r.line for r in parsed.rejects] == [3]


def test_an_object_without_a_line_is_told() -> None:
    text = "\n".join(json.dumps(one) for one in [*map(docker, SQUID), {"stream": "stdout"}]) + '\n{"lo\n\n'  # fmt: skip
    parsed, _ = read(text)
    assert parsed.rows.num_rows == 3 and dict(parsed.why) == {"blank line": 1}
    assert {r.line: r.reason for r in parsed.rejects} == dict.fromkeys((3, 4), "no log line in its envelope")  # fmt: skip


def test_records_of_a_list_are_records() -> None:
    one = {"time": "2024-05-02T10:11:12Z", "category": "AZFWApplicationRule", "properties": {"Protocol": "HTTPS", "SourceIp": "10.1.1.7", "DestinationPort": 443, "Fqdn": "www.example.org", "Action": "Allow"}}  # fmt: skip
    data = (
        json.dumps({"records": [one, one]}) + "\n" + json.dumps({"records": [one]}) + "\n"
    ).encode()
    found = recognise(data, all_formats(), GIVEN)
    assert isinstance(found.format, Wrapped) and found.format.name == "azure"
    parsed = found.format.parse(Block(data), GIVEN)
    assert parsed.rows["line"].to_pylist() == [0, 0, 1]


ANALYTICAL = [
    '"QUERY_RECEIVED: TCP=0; InterfaceIP=10.1.1.2; Source=10.1.1.7; RD=1; QNAME=www.example.org.; QTYPE=1; XID=7; Port=5; Flags=256; PacketData=0x1"',
    '"RESPONSE_SUCCESS: TCP=0; InterfaceIP=10.1.1.2; Destination=10.1.1.7; AA=0; QNAME=www.example.org.; QTYPE=1; XID=7; DNSSEC=0; RCODE=3; Port=5; Flags=1; PacketData=0x1"',
]  # fmt: skip


@pytest.mark.parametrize("sheet_", [
    ("Level,Date and Time,Source,Event ID,Task Category", "Information,{},Microsoft-Windows-DNSServer,256,LOOK_UP ,{}"),
    ("Ebene,Datum und Uhrzeit,Quelle,Ereignis-ID,Aufgabenkategorie", "Informationen,{},Microsoft-Windows-DNSServer,256,LOOK_UP ,{}"),
    ('"TimeCreated","Id","Message"', '"{}","256",{}'),
])  # fmt: skip
def test_windows_analytical_log_as_csv(sheet_: tuple[str, str]) -> None:
    head, row = sheet_
    made = [head, *(row.format("5/22/2024 10:11:12 AM", line) for line in ANALYTICAL)]
    data = ("\n".join(made) + "\n").encode()
    found = recognise(data, all_formats(), GIVEN)
    assert found.format is not None and found.format.name == "windows-dns", found.reason
    parsed = found.format.parse(Block(data), replace(GIVEN, order="mdy"))
    assert parsed.rows.select(["line", "time", "client", "verdict"]).to_pylist() == [
        {"line": 1, "time": 1716372672000, "client": "10.1.1.7", "verdict": "error"}
    ]
    assert dict(parsed.why) == {"header": 1, "answer to a question told before": 1}


def test_a_row_of_an_export_with_other_columns_is_rejected() -> None:
    text = CARRIERS["Splunk's CSV"](SQUID) + "a,b\n"
    parsed, _ = read(text)
    assert parsed.rows.num_rows == 3
    assert [(r.line, r.reason) for r in parsed.rejects] == [(4, "no log line in its envelope")]


def test_the_format_does_not_hang_on_the_order_of_day_and_month() -> None:
    line = "5/22/2024 10:11:12 AM 0E24 PACKET  0000009AC98841A0 UDP Rcv 10.1.1.7 2de6   Q [0001   D   NOERROR] A      (3)www(7)example(3)org(0)\n"
    found = recognise(line.encode() * 3, all_formats(), GIVEN)
    assert found.format is not None and found.format.name == "windows-dns"


def test_a_header_inside_syslog_is_asked_before_a_guess_without_one() -> None:
    """One row is read either way; the header says what its columns are."""
    names = "date time time-taken c-ip sc-status s-action sc-bytes cs-bytes cs-method cs-uri-scheme cs-host cs-uri-port cs-uri-path cs-uri-query cs-username cs-auth-group s-hierarchy s-supplier-name rs(Content-Type) cs(Referer) cs(User-Agent) sc-filter-result cs-categories x-virus-id s-ip"  # fmt: skip
    row = r'2024-05-02 10:11:12 40 10.1.1.7 200 TCP_MISS 3400 120 GET http www.example.org 80 /a - ann EX\staff - www.example.org text/html http://www.example.net/ "Mozilla/5.0 (X)" OBSERVED "News" - 10.9.9.9'  # fmt: skip
    lines = ["#Software: SGOS 6.5.9.8", "#Version: 1.0", "#Date: 2024-05-01 10:39:15", f"#Fields: {names}", row]  # fmt: skip
    data = "".join(f"May  2 12:30:46 10.9.9.9 {line}\n" for line in lines).encode()
    found = recognise(data, all_formats(), GIVEN)
    assert found.format is not None and found.format.name == "bluecoat" and found.confidence == 1


@pytest.mark.parametrize("before", ["2024-05-02T10:11:12+02:00\tdns\t", "2024-05-02 10:11:12.000000000 +0200 dns.pihole: "])  # fmt: skip
def test_fluentds_time_is_that_of_a_record_that_says_none(before: str) -> None:
    line = before + json.dumps({"message": "query[A] www.example.org from 10.1.1.7"})
    found = recognise(f"{line}\n{line}\n".encode(), all_formats())
    assert found.format is not None
    parsed = found.format.parse(Block(f"{line}\n".encode()))
    assert parsed.rows["time"].to_pylist() == [1_714_637_472_000]


def test_a_block_of_an_export_ends_where_a_cell_does() -> None:
    text = CARRIERS["Splunk's CSV, newlines in its cells"](SQUID)
    found = recognise(text.encode(), all_formats(), GIVEN).format
    assert isinstance(found, Wrapped)
    cut = text.index("gw\n", text.index(SQUID[1])) + len("gw\n")
    whole = found.whole(text[:cut].encode())
    assert text[:whole].endswith(SQUID[1] + '"\n')
    assert found.whole(text.encode()) == len(text)

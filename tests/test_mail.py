"""Mail through a real SMTP server: encrypted, logged in, addressed to managers and to nobody else."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from socket import socket
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from analytics.questions import Week
from config.people import People, Person
from config.settings import Mail
from errors import MailFailed
from reports.mail import alarm, send
from reports.weekly import Written, weekly
from workspace import Workspace

WEEK = Week(2026, 45)
PASSWORD = "correct horse"


@dataclass
class Inbox:
    """What arrived, and from whom the server takes it."""

    refuses: tuple[str, ...] = ()
    arrived: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        if to in self.refuses:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.arrived.append(envelope)
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.users.append(data.login)
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    @property
    def messages(self) -> list[EmailMessage]:
        found = []
        for envelope in self.arrived:
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@dataclass
class Server:
    """A running SMTP server."""

    inbox: Inbox
    port: int


Start = Callable[..., Server]


@pytest.fixture
def start(certificate: tuple[Path, Path]) -> Iterator[Start]:
    """Start servers: `starttls` (with login) as it should be, `plain`, or `tls` from the first byte."""
    running: list[Controller] = []

    def run(kind: str = "starttls", refuses: tuple[str, ...] = ()) -> Server:
        inbox = Inbox(refuses)
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": _free_port()}
        if kind == "starttls":
            options |= {
                "tls_context": context,
                "require_starttls": True,
                "authenticator": inbox.authenticate,
                "auth_required": True,
            }
        elif kind == "tls":
            options["ssl_context"] = context
        controller = Controller(inbox, **options)
        controller.start()
        running.append(controller)
        return Server(inbox, controller.port)

    yield run
    for controller in running:
        controller.stop()


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mail_settings(port: int, cert: Path, password: Path, **changes: Any) -> Mail:
    """Settings for a server started here."""
    values: dict[str, Any] = {
        "host": "localhost",
        "port": port,
        "security": "starttls",
        "user": "fairwatch",
        "password_file": password,
        "ca_file": cert,
        "sender": "Fairwatch <fairwatch@example.org>",
        "it": "it@example.org",
    }
    return Mail(**{**values, **changes})


@pytest.fixture
def settings(certificate: tuple[Path, Path], tmp_path: Path) -> Callable[..., Mail]:
    """Mail settings with the right password, by port."""
    password = tmp_path / "smtp-password"
    password.write_text(f"{PASSWORD}\n")
    return lambda port, **changes: mail_settings(port, certificate[0], password, **changes)


def with_mail(ws: Workspace, mail: Mail | None, rows: list[Person] | None = None) -> Workspace:
    """The site with these mail settings and people."""
    changed = replace(ws, settings=ws.settings.model_copy(update={"mail": mail}))
    return changed if rows is None else replace(changed, people=People(rows))


def team(manager: Person, size: int = 6) -> list[Person]:
    """A manager and a team."""
    members = [
        Person(f"{manager.user}{n}", f"Member {n}", "Advice", manager.user, "") for n in range(size)
    ]
    return [manager, *members]


KIM = Person("kim", "Kim King", "Advice", "", "kim@example.org")
LEE = Person("lee", "Lee Long", "Advice", "", "lee@example.org")


def test_each_manager_gets_the_page(
    site: Workspace, now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start()
    ws = with_mail(site, settings(server.port), [*team(KIM), *team(LEE, 2)])
    written = weekly(ws, WEEK, now)
    assert send(ws, written, now) == 2
    inbox = server.inbox
    assert [e.rcpt_tos for e in inbox.arrived] == [["kim@example.org"], ["lee@example.org"]]
    assert inbox.encrypted == [True, True] and inbox.users == [b"fairwatch"]
    for message, one in zip(inbox.messages, written, strict=True):
        assert message["Subject"].startswith("Social media use, week 45 of 2026: team of ")
        assert message["Date"].datetime == now
        assert message["Message-ID"].endswith("@example.org>")
        assert message["From"].addresses[0].addr_spec == "fairwatch@example.org"
        [attached] = list(message.iter_attachments())
        assert attached.get_filename() == "social-media-use-2026-W45.html"
        assert attached.get_payload(decode=True) == one.path.read_bytes()
        html, text = message.get_body(("html",)), message.get_body(("plain",))
        assert html is not None and text is not None
        assert "<svg" not in html.get_content() and "<img" not in html.get_content()
        assert "second person" in text.get_content()
    acts = [line.act for line in ws.ledger.lines() if line.act["act"] == "mail"]
    assert [(a["team"], a["week"], a["sha256"]) for a in acts] == [
        (w.team, "2026-W45", w.sha256) for w in written
    ]
    assert "example.org" not in str(acts)


def test_the_mail_has_the_headline_and_the_trend(
    site: Workspace, now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    from analytics.questions import TeamFigures, TeamWeek
    from reports import mail as module
    from reports.weekly import pages

    ws = with_mail(site, settings(1), team(KIM))
    [(_, page)] = pages(ws, WEEK, now, ["kim"])
    weeks = [
        TeamWeek("2026-W44", 0, 0, None, None, None, None, None, None),
        TeamWeek("2026-W45", 5, 6, 130, 150, 200, 40, 50, 75),
    ]
    text = module.text(replace(page, figures=TeamFigures(weeks, [], [], []))).replace("\xa0", " ")
    assert "In working time:      40-75 min" in text
    assert "At any time of day:   2 h 10 min to 3 h 20 min" in text
    assert "Week 44 (26 October 2026): no data\n" in text
    assert "Week 45 (2 November 2026): 40-75 min, likely 50 min" in text
    assert "Fairwatch's suggestions" in text


def test_the_same_mail_has_the_same_identity(
    site: Workspace, now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start()
    ws = with_mail(site, settings(server.port), team(KIM))
    written = weekly(ws, WEEK, now)
    send(ws, written, now)
    send(ws, written, now)
    first, second = server.inbox.messages
    assert first["Message-ID"] == second["Message-ID"]


def test_tls_from_the_first_byte(
    now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start("tls")
    alarm(settings(server.port, security="tls", user=None), "Nightly failed", "See the log.", now)
    [message] = server.inbox.messages
    assert message["To"] == "it@example.org"
    assert message.get_content().strip() == "See the log."
    assert server.inbox.encrypted == [True]


def test_no_encryption_where_the_settings_say_so(
    now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start("plain")
    alarm(settings(server.port, security="none", user=None), "s", "t", now)
    assert server.inbox.encrypted == [False]


def test_a_password_file_beside_the_site(
    now: datetime, start: Start, settings: Callable[..., Mail], tmp_path: Path
) -> None:
    server = start()
    alarm(settings(server.port, password_file=Path("smtp-password")), "s", "t", now, tmp_path)
    assert len(server.inbox.arrived) == 1


def test_a_wrong_password(
    now: datetime, start: Start, settings: Callable[..., Mail], tmp_path: Path
) -> None:
    server = start()
    (tmp_path / "smtp-password").write_text("wrong")
    with pytest.raises(MailFailed, match=r"refused the login of 'fairwatch'.*password_file") as e:
        alarm(settings(server.port), "s", "t", now)
    assert "wrong" not in str(e.value) and server.inbox.arrived == []


def test_a_missing_password_file(
    now: datetime, settings: Callable[..., Mail], tmp_path: Path
) -> None:
    with pytest.raises(MailFailed, match=r"password could not be read from .*absent"):
        alarm(settings(1, password_file=tmp_path / "absent"), "s", "t", now)


def test_a_server_that_offers_no_starttls_gets_nothing(
    now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start("plain")
    with pytest.raises(MailFailed, match=r"STARTTLS.*nothing was sent"):
        alarm(settings(server.port), "s", "t", now)
    assert server.inbox.arrived == [] and server.inbox.users == []


def test_a_certificate_nobody_vouches_for(
    now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start()
    with pytest.raises(MailFailed, match=r"no trusted encrypted connection.*ca_file"):
        alarm(settings(server.port, ca_file=None), "s", "t", now)
    assert server.inbox.arrived == [] and server.inbox.users == []


def test_a_certificate_file_that_is_not_there(
    now: datetime, settings: Callable[..., Mail], tmp_path: Path
) -> None:
    with pytest.raises(MailFailed, match="localhost"):
        alarm(settings(1, ca_file=tmp_path / "absent.pem"), "s", "t", now)


def test_nobody_listens(now: datetime, settings: Callable[..., Mail]) -> None:
    with pytest.raises(MailFailed, match=r"localhost:9: .*mail\.host.*send again"):
        alarm(settings(9), "s", "t", now)


def test_without_a_mail_block(site: Workspace, now: datetime) -> None:
    with pytest.raises(MailFailed, match=r"add `mail:`"):
        send(with_mail(site, None), [], now)


def test_managers_without_an_address_are_told_after_the_others(
    site: Workspace, now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start(refuses=("lee@example.org",))
    nobody = Person("abe", "Abe Able", "Advice", "", "")
    odd = Person("odd", "Odd One", "Advice", "", "not an address")
    outside = [Person("x", "X", "Advice", "A Board", "")]
    rows = [*team(nobody), *team(KIM), *team(LEE), *team(odd), *outside]
    ws = with_mail(site, settings(server.port), rows)
    with pytest.raises(MailFailed) as raised:
        send(ws, weekly(ws, WEEK, now), now)
    sentence = str(raised.value)
    assert "1 of 5 pages were mailed" in sentence
    assert "abe (no e-mail address in people.csv)" in sentence
    assert "A Board (no e-mail address in people.csv)" in sentence
    assert "odd (address not usable" in sentence
    assert "lee (550 5.1.1 no such mailbox)" in sentence
    assert [e.rcpt_tos for e in server.inbox.arrived] == [["kim@example.org"]]
    acts = [line.act["team"] for line in ws.ledger.lines() if line.act["act"] == "mail"]
    assert acts == ["kim"]


def test_a_page_that_was_changed_is_not_sent(
    site: Workspace, now: datetime, start: Start, settings: Callable[..., Mail]
) -> None:
    server = start()
    ws = with_mail(site, settings(server.port), team(KIM))
    [one] = weekly(ws, WEEK, now)
    one.path.write_text("forged")
    with pytest.raises(MailFailed, match="not the page that was written"):
        send(ws, [one], now)
    assert server.inbox.arrived == []


@pytest.mark.parametrize("evil", ["a\r\nBcc: eve@example.org", "a\nBcc: eve@example.org", "a\x0bb"])
def test_headers_cannot_be_smuggled_in(
    site: Workspace, now: datetime, start: Start, settings: Callable[..., Mail], evil: str
) -> None:
    server = start()
    alarm(settings(server.port), evil, "text\n.\nQUIT\r\nBcc: eve@example.org", now)
    ws = with_mail(site, settings(server.port), team(replace(KIM, name=evil)))
    send(ws, weekly(ws, WEEK, now), now)
    for envelope, message in zip(server.inbox.arrived, server.inbox.messages, strict=True):
        assert message["Bcc"] is None and "eve@example.org" not in envelope.rcpt_tos
        assert "\n" not in message["Subject"]


@pytest.mark.parametrize(
    "address", ["kim@example.org\r\nBcc: eve@example.org", "kim@example.org,eve@example.org", "@"]
)
def test_addresses_cannot_be_smuggled_in(
    site: Workspace, now: datetime, start: Start, settings: Callable[..., Mail], address: str
) -> None:
    server = start()
    ws = with_mail(site, settings(server.port), team(replace(KIM, email=address)))
    written: list[Written] = weekly(ws, WEEK, now)
    with pytest.raises(MailFailed, match="kim \\(address not usable"):
        send(ws, written, now)
    assert server.inbox.arrived == []


def test_an_alarm_to_no_address(now: datetime, settings: Callable[..., Mail]) -> None:
    with pytest.raises(MailFailed, match=r"fairwatch.yaml, mail: .*no address"):
        alarm(settings(1, it="nobody"), "s", "t", datetime(2026, 1, 1, tzinfo=UTC))

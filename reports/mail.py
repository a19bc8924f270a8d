"""Mail: pages to managers, proofs to the data protection officer, alarms to IT; by SMTP alone."""

import hashlib
import smtplib
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from config.settings import Mail
from errors import MailFailed
from reports.frames import NO_DATA, people, uncounted
from reports.render import DASH, day_in_words, minutes, plain, render, span
from reports.smtp import UNUSABLE, address, connected, said
from reports.team import Page
from reports.weekly import Written, pages
from workspace import Workspace


def send(ws: Workspace, written: Sequence[Written], now: datetime) -> int:
    """Mail each page to its manager; returns how many went out, each an act in the ledger.

    Raises MailFailed: at once where the server cannot be used, and after the others were sent
    where single managers could not be reached.
    """
    mail = ws.settings.mail
    if mail is None:
        raise MailFailed(
            "fairwatch.yaml, mail: there is no such block; add `mail:` with host, port, security, "
            "sender and it to send reports."
        )
    messages, failed = _messages(ws, mail, written, now)
    sent = 0
    if messages:
        with connected(mail, ws.folder) as server:
            for one, message in messages:
                try:
                    server.send_message(message)
                except (smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as error:
                    failed.append(f"{one.team} ({said(error)})")
                    continue
                sent += 1
                with ws.state.change() as change:
                    change.act(
                        "mail",
                        time=now,
                        actor=ws.actor,
                        team=one.team,
                        week=str(one.week),
                        sha256=one.sha256,
                    )
    if failed:
        raise MailFailed(
            f"{mail.host}:{mail.port}: {sent} of {len(written)} pages were mailed; not to "
            f"{'; '.join(failed)}. Correct the managers' rows in people.csv and send again."
        )
    return sent


def alarm(mail: Mail, subject: str, text: str, now: datetime, folder: Path = Path()) -> None:
    """Tell IT in plain text; `folder` is the site's, for a password file named relative to it.

    Raises MailFailed.
    """
    try:
        message = _message(mail, address(mail.it), subject, text, now)
    except UNUSABLE as error:
        raise MailFailed(
            f"fairwatch.yaml, mail: sender {mail.sender!r} or it {mail.it!r} is no address "
            f"({error}); expected one such as it@example.org."
        ) from None
    with connected(mail, folder) as server:
        server.send_message(message)


def tell_officer(
    ws: Workspace, subject: str, text: str, attached: Mapping[str, bytes], now: datetime
) -> str:
    """Mail the data protection officer; the address. Raises MailFailed.

    `attached` are files by name: text where it ends with .txt, else any bytes.
    """
    mail, officer = ws.settings.mail, ws.settings.dpo
    if mail is None or officer is None:
        raise MailFailed("fairwatch.yaml: needs both `mail` and `dpo` to mail the officer.")
    try:
        to = address(officer.email)
        message = _message(mail, to, subject, text, now, _digest(attached))
    except UNUSABLE as error:
        raise MailFailed(
            f"fairwatch.yaml, dpo: email {officer.email!r} or mail.sender {mail.sender!r} is no "
            f"address ({said(error)}); expected one such as dpo@example.org."
        ) from None
    for name, content in attached.items():
        kind = ("text", "plain") if name.endswith(".txt") else ("application", "octet-stream")
        message.add_attachment(content, maintype=kind[0], subtype=kind[1], filename=name)
    with connected(mail, ws.folder) as server:
        server.send_message(message)
    return officer.email


def _digest(attached: Mapping[str, bytes]) -> str:
    return hashlib.sha256(
        b"".join(hashlib.sha256(c).digest() for c in attached.values())
    ).hexdigest()


def _messages(
    ws: Workspace, mail: Mail, written: Sequence[Written], now: datetime
) -> tuple[list[tuple[Written, EmailMessage]], list[str]]:
    """The mails that can be sent, and for whom there is none and why."""
    messages, failed = [], []
    for one in written:
        person = ws.people.find(one.team)
        if person is None or not person.email:
            failed.append(f"{one.team} (no e-mail address in people.csv)")
            continue
        try:
            to = address(person.email)
            message = _weekly(ws, mail, to, one, now)
        except UNUSABLE as error:
            failed.append(f"{one.team} (address not usable: {said(error)})")
            continue
        messages.append((one, message))
    return messages, failed


def _weekly(ws: Workspace, mail: Mail, to: Address, one: Written, now: datetime) -> EmailMessage:
    content = one.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != one.sha256:
        raise MailFailed(
            f"{one.path.name}: is not the page that was written; make the week's pages again."
        )
    [(_, page)] = pages(ws, one.week, now, [one.team])
    subject = f"Social media use, week {one.week.number} of {one.week.year}: team of {page.title}"
    message = _message(mail, to, subject, text(page), now, one.sha256)
    message.add_alternative(render("mail.html.j2", page=page).decode(), subtype="html")
    name = f"social-media-use-{one.week}.html"
    message.add_attachment(
        content, maintype="text", subtype="html", filename=name, params={"charset": "utf-8"}
    )
    return message


def _message(
    mail: Mail, to: Address, subject: str, body: str, now: datetime, seed: str = ""
) -> EmailMessage:
    sender = address(mail.sender)
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = " ".join(plain(subject).split())
    message["Date"] = format_datetime(now)
    # The same mail has the same identity, so that a second try is not a second mail.
    identity = "\n".join((seed, str(to), subject, body, now.isoformat()))
    digest = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()
    message["Message-ID"] = f"<{digest[:40]}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("".join(f"{plain(line)}\n" for line in body.splitlines()))
    return message


def text(page: Page) -> str:
    """The plain-text part: the headline and the weeks behind it."""
    week = page.week
    lines = [
        f"{page.organisation}: social media use, team of {page.title}",
        f"Week {week.number}, {day_in_words(week.first_day)} to {day_in_words(week.last_day)}",
        "",
    ]
    if page.figures is None:
        lines.append("The figures of so small a team are not shown; the attached page says why.")
    elif page.now.low_min is None:
        lines.append("No data: no log line lies in this week. That is not the same as no use.")
    else:
        lines += _figures(page)
    lines += [
        "",
        "The attached page has everything else: how it is counted, the policy it is judged by,",
        "and what you may and may not do with it. It names nobody. A suspicion about a person",
        "goes to HR, who need a documented reason and a second person.",
    ]
    return "\n".join(lines)


def _figures(page: Page) -> list[str]:
    now = page.now
    lines = [
        f"In working time:      {_range(now.work_low_min, now.work_high_min, uncounted(now))}",
        f"At any time of day:   {_range(now.low_min, now.high_min, NO_DATA)}",
        f"Average per person:   {_range(page.average.low, page.average.high, NO_DATA)}",
        f"People who used any:  {people(now)} of {page.size}",
        "",
        "Working time by week, low to high:",
    ]
    for week, label in page.labelled:
        likely = "" if week.work_likely_min is None else f", likely {minutes(week.work_likely_min)}"
        lines.append(
            f"  {label}: {_range(week.work_low_min, week.work_high_min, uncounted(week))}{likely}"
        )
    if page.gaps:
        lines += ["", "Part of the week is missing from the logs; the true figures may be higher:"]
        lines += [f"  {day_in_words(gap.day)}: {gap.data}" for gap in page.gaps]
    if page.suggested:
        lines += [
            "",
            "The limits on the attached page are Fairwatch's suggestions, not the organisation's",
            "decision.",
        ]
    return lines


def _range(low: float | None, high: float | None, missing: str) -> str:
    if low is None or high is None:
        return missing
    return span(low, high).replace(DASH, "-" if round(high) < 120 else "to")

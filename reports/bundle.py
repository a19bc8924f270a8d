"""A certificate as a bundle: pages signed, anchored in the ledger, and the steps to check all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from errors import FairwatchError, MailFailed, Overdue
from lake.datasets import DATASETS
from lake.files import write
from lake.witness import standalone
from proofs import inclusion
from proofs.signing import Keys, fingerprint
from reports import bag, checkpoints, mail
from reports.certificate import (
    FOLDER,
    KINDS,
    Certificate,
    Remaining,
    Removed,
    certificate,
    newest,
)
from reports.check import check_steps
from reports.checkpoints import Made
from reports.render import render
from retention import Purge, purge, verify
from rights.register import Right
from workspace import Workspace

PROGRAM = "fairwatch"
"""Who acts where no person's name belongs: the act goes into the bundle."""
SHIPPED: dict[str, Callable[[], str]] = {"verify.py": standalone.source}
"""Files of ours that go into every bundle, by name, and what writes them."""
TITLES = {
    "purge": "Certificate of deletion",
    "erasure": "Certificate of erasure",
    "restriction": "Certificate of restriction",
}
MOST_SHOWN = 400
"""Lines of a table on the page; all of them stand in certificate.json."""


@dataclass(frozen=True)
class Issued:
    """A certificate that was made: what it says, the bundle, its checkpoint, to whom it was mailed."""

    certificate: Certificate
    path: Path
    sha256: str
    checkpoint: Made
    mailed: str | None
    failed: tuple[str, ...]

    def refuse_undelivered(self) -> None:
        """Raise MailFailed or NotPublished where somebody who should have it did not get it."""
        checkpoints.refuse_unpublished(self.checkpoint)
        if self.failed:
            raise MailFailed("\n".join(self.failed))


def purge_certified(ws: Workspace, now: datetime, *, confirmed: bool = False) -> tuple[Purge, Issued]:  # fmt: skip
    """Purge, then certify it. The caller holds the site's lock. Raises what `purge` raises.

    A purge that left something makes no certificate, but the ledger that says so is signed.
    """
    try:
        done = purge(ws, now, confirmed=confirmed)
    except Overdue:
        checkpoints.make(ws, now)
        raise
    found = certificate(ws, now, done.verification, newest(ws))
    return done, issue(ws, found, now)


def right_certified(ws: Workspace, done: Right, now: datetime) -> Issued:
    """A certificate of an erasure or restriction that ended. The caller holds the site's lock."""
    return issue(ws, certificate(ws, now, verify(ws, now), done.id), now)


def certify(ws: Workspace, now: datetime, of: str | None = None) -> Issued:
    """A certificate on demand: of a purge (see `certificate`), or of the state as it is."""
    with ws.state.change() as change:
        change.act("certificate asked", time=now, actor=ws.actor, of=of or "state")
    return issue(ws, certificate(ws, now, verify(ws, now), of), now)


def issue(ws: Workspace, found: Certificate, now: datetime) -> Issued:
    """Sign, anchor, pack, keep and mail a certificate."""
    as_json = json.dumps(found.as_json(), indent=1, ensure_ascii=False).encode() + b"\n"
    as_page = page(found)
    with ws.state.change() as change:
        change.act(
            "certificate",
            time=now,
            actor=PROGRAM,
            certificate=found.id,
            json=hashlib.sha256(as_json).hexdigest(),
            html=hashlib.sha256(as_page).hexdigest(),
        )
    made = checkpoints.make(ws, now)
    keys = Keys(ws.folder / checkpoints.KEYS)
    payload = {
        "certificate.json": as_json,
        "certificate.json.sig": keys.sign_file(as_json),
        "certificate.html": as_page,
        "certificate.html.sig": keys.sign_file(as_page),
        "signing.pub.pem": keys.public_pem,
        **_anchor(ws, found, made),
        **{name: source().encode() for name, source in SHIPPED.items()},
    }
    payload["CHECK.txt"] = check_steps(made, payload, fingerprint(keys.public))
    content = bag.build(
        found.id,
        payload,
        {
            "External-Identifier": found.id,
            "Source-Organization": found.organisation,
            "Bagging-Date": now.date().isoformat(),
            "Bag-Software-Agent": "Fairwatch",
        },
    )
    path = ws.folder / FOLDER / f"{found.id}.zip"
    write(path, content, ws.folder / "work")
    digest = hashlib.sha256(content).hexdigest()
    with ws.state.change() as change:
        change.act("certificate bundle", time=now, actor=PROGRAM, certificate=found.id, sha256=digest)  # fmt: skip
    to, failed = _mailed(ws, found, path.name, content, made, now)
    return Issued(found, path, digest, made, to, failed)


def page(found: Certificate) -> bytes:
    """The certificate for people."""
    shown = sorted(found.removed, key=lambda r: (r.day, r.store)) if found.purge else []
    return render(
        "certificate.html.j2",
        c=found,
        shown=[(r, _day(r.day), _times(r)) for r in shown[:MOST_SHOWN]],
        more=max(0, len(shown) - MOST_SHOWN),
        sums=_sums(found.removed),
        deeds=[(d, found.rows_of(d.act)) for d in reversed(found.deeds)][:MOST_SHOWN],
        rules=_rules_shown(found),
        remaining=[r for r in found.remaining if r.files or r.overdue_rows],
        kept=[(k, _day(k.day), _day(k.due)) for k in found.kept],
        backups=[(b, _day(b.until)) for b in found.backups],
        last_backup=_day(max((b.until for b in found.backups), default="")),
        oldest=_day(min((str(r.oldest_event) for r in found.remaining if _events(r)), default="")),
        days=sorted(
            {d for r in found.removed if r.kind in ("partition", "rows") and (d := _day(r.day))}
        ),
        keyed=any(r.key for r in shown),
        kinds=KINDS,
        titles=TITLES,
        restricted=found.purge is not None and found.deeds[0].kind == "restriction",
        utc=ZoneInfo("UTC"),
    )


def _anchor(ws: Workspace, found: Certificate, made: Made) -> dict[str, bytes]:
    """The act that names the certificate, its way to the root, the checkpoint, the time stamp."""
    seq = max(
        line.act["seq"]
        for line in ws.ledger.lines()
        if line.act["act"] == "certificate" and line.act["certificate"] == found.id
    )
    act = ws.ledger.find(seq)
    assert act
    tree, _ = ws.ledger.tree()
    return {
        "act.jsonl": act[1],
        "inclusion.txt": inclusion.prove(tree, seq, made.checkpoint).text().encode(),
        "checkpoint.txt": made.path.read_bytes(),
        **({"checkpoint.tsr": made.stamp.read_bytes()} if made.stamp else {}),
    }


def _mailed(
    ws: Workspace, found: Certificate, name: str, content: bytes, made: Made, now: datetime
) -> tuple[str | None, tuple[str, ...]]:
    """To whom it went, and what kept it from going."""
    if ws.settings.dpo is None or ws.settings.mail is None:
        return None, ()
    what = found.deeds[0].kind.capitalize() if found.purge is not None else "State"
    subject = f"Fairwatch: certificate {found.id} of {found.organisation}"
    text = (
        f"{what} certificate {found.id}: {sum(r.rows for r in found.removed):,} rows removed; "
        f"{'nothing overdue was found anywhere' if found.clean else 'NOT CLEAN: see the page'}.\n"
        f"Unpack the attached zip: certificate.html is the page, CHECK.txt says how to check it\n"
        f"without Fairwatch. Keep this mail: its checkpoint finds out a ledger rewritten later.\n\n"
        f"{made.path.read_text('utf-8')}"
    )
    try:
        to = mail.tell_officer(ws, subject, text, {name: content, **made.files()}, now)
    except FairwatchError as error:
        return None, (str(error),)
    with ws.state.change() as change:
        change.act("mail", time=now, actor=PROGRAM, to="data protection officer",
                   certificate=found.id, sha256=hashlib.sha256(content).hexdigest())  # fmt: skip
    return to, ()


def _sums(removed: list[Removed]) -> list[tuple[str, int, int, date | None, date | None]]:
    """Store, items, rows, first and last day."""
    stores: dict[str, list[Removed]] = {}
    for one in removed:
        stores.setdefault(one.store, []).append(one)
    return [
        (
            store,
            len(items),
            sum(i.rows for i in items),
            _day(min((i.day for i in items if i.day), default="")),
            _day(max((i.day for i in items if i.day), default="")),
        )
        for store, items in stores.items()
    ]


def _rules_shown(found: Certificate) -> list[tuple[str, str, date | None, str]]:
    """Setting, length, first day kept, and the stores of what was removed under it."""
    shown: dict[str, tuple[str, date | None, list[str]]] = {}
    gone = {r.store for r in found.removed}
    for rule in found.rules:
        if rule.store in gone:
            kept = shown.setdefault(rule.setting, (rule.length, _day(rule.first_day_kept), []))
            kept[2].append(rule.store)
    return [(key, length, first, ", ".join(names)) for key, (length, first, names) in shown.items()]


def _events(remaining: Remaining) -> bool:
    return remaining.store in DATASETS and remaining.oldest_event is not None


def _day(text: str) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def _times(removed: Removed) -> str:
    """`09:12 to 17:40` where the catalogue knows them: of what is derived it knows the day."""
    dataset = DATASETS.get(removed.store)
    if dataset is None or dataset.day != "utc" or len(removed.newest) < 16:
        return ""
    return f"{removed.oldest[11:16]} to {removed.newest[11:16]}"

"""People from a SCIM export: a ListResponse, an array or one resource a line of JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.roster import Entry
from errors import UnreadableInput

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LARGEST = 256 << 20
"""Bytes of an export; a quarter of a million people need no more."""

KINDS = {"volunteer": "volunteer", "intern": "student", "student": "student", "temp": "agency",
         "contractor": "agency", "agency": "agency", "employee": "employee"}  # fmt: skip


def entries(path: Path) -> Iterator[Entry]:
    """Each user of an export. Raises UnreadableInput for what is none."""
    try:
        if path.stat().st_size > LARGEST:
            raise UnreadableInput(f"{path}: larger than {LARGEST >> 20} MiB; export in parts.")
        text = path.read_text("utf-8-sig")
        users = _resources(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableInput(
            f"{path}: expected a SCIM export as JSON ({type(error).__name__})."
        ) from None
    if not users:
        raise UnreadableInput(f"{path}: holds no SCIM users; nobody would be left in people.csv.")
    names = {str(u.get("id")): str(u.get("userName") or "") for u in users if u.get("id")}
    for user in users:
        yield _entry(user, names)


def _resources(text: str) -> list[dict[str, Any]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        data = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(data, dict):
        data = data.get("Resources", [data] if "userName" in data else [])
    users = data if isinstance(data, list) else []
    return [u for u in users if isinstance(u, dict) and "userName" in u]


def _entry(user: dict[str, Any], names: dict[str, str]) -> Entry:
    work = _block(user, ENTERPRISE)
    name = _block(user, "name")
    full = user.get("displayName") or name.get("formatted") or " ".join(
        str(name.get(k) or "") for k in ("givenName", "familyName")
    )  # fmt: skip
    manager = work.get("manager")
    boss = manager if isinstance(manager, dict) else {"value": manager}
    who = names.get(str(boss.get("value"))) or boss.get("displayName") or ""
    cells = {
        "user": str(user["userName"] or ""),
        "name": str(full),
        "department": str(work.get("department") or ""),
        "manager": str(who),
        "email": _mail(user.get("emails")),
    }
    kind = KINDS.get(str(user.get("userType") or "").casefold())
    return Entry({**cells, **({"kind": kind} if kind else {})}, user.get("active") is not False)


def _block(user: dict[str, Any], key: str) -> dict[str, Any]:
    found = user.get(key)
    return found if isinstance(found, dict) else {}


def _mail(mails: Any) -> str:
    found = [m for m in mails if isinstance(m, dict) and m.get("value")] if isinstance(mails, list) else []  # fmt: skip
    best = next((m for m in found if m.get("primary") is True), found[0] if found else {})
    return str(best.get("value") or "")

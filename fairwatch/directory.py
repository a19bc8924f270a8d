"""People from an LDAP server (Active Directory, OpenLDAP): paged, over TLS, and only what is asked for."""

import ssl
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from config.logins import normalised
from config.roster import Entry
from config.settings import Directory
from errors import BadConfiguration, UnreadableInput

with warnings.catch_warnings():
    # ldap3 2.9.1 uses old names of pyasn1.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException

SECONDS = 30
DISABLED = 0x2
"""The bit of userAccountControl that switches an account off."""

ATTRIBUTES: dict[str, dict[str, str]] = {
    "ad": {
        "user": "sAMAccountName",
        "name": "displayName",
        "department": "department",
        "manager": "manager",
        "email": "mail",
    },
    "openldap": {
        "user": "uid",
        "name": "cn",
        "department": "departmentNumber",
        "manager": "manager",
        "email": "mail",
    },
}
FILTERS = {
    "ad": "(&(objectCategory=person)(objectClass=user))",
    "openldap": "(objectClass=inetOrgPerson)",
}


class _Tls(ldap3.Tls):  # type: ignore[misc]  # ldap3 ships no types
    """TLS with Python's own check of chain and name.

    ldap3 2.9.1 checks the name by functions that are gone from Python 3.12, and leaks the socket where
    it does not fit.
    """

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Put TLS round a connection's socket; raises ssl.SSLError."""
        context = ssl.create_default_context(cafile=self.ca_certs_file)
        connection.socket = context.wrap_socket(
            connection.socket, server_hostname=connection.server.host
        )


def entries(setup: Directory, folder: Path) -> list[Entry]:
    """Everybody the filter finds; managers by their user names.

    Raises BadConfiguration for files that are missing, UnreadableInput where the server cannot be
    asked, answers in part, or has more entries than `largest`.
    """
    attributes = {**ATTRIBUTES[setup.schema_], **setup.attributes}
    try:
        rows = sorted(_ask(setup, folder, attributes), key=lambda r: r[1].get("user", ""))
    except (LDAPException, OSError) as error:
        # The text may name accounts; the kind of failure says enough.
        raise UnreadableInput(
            f"{setup.url}: the directory could not be read to its end ({type(error).__name__}); "
            f"nothing was changed. Check address, certificate, bind and password."
        ) from None
    if not rows:
        raise UnreadableInput(
            f"{setup.url}: found nobody under {setup.base}; nobody would be left in people.csv."
        )
    users = {dn.casefold(): cells.get("user", "") for dn, cells, _ in rows}
    return [Entry(_manager(cells, users), active) for _, cells, active in rows]


def _manager(cells: dict[str, str], users: dict[str, str]) -> dict[str, str]:
    """A manager is a path in the directory; one outside of what was asked for keeps their name."""
    path = cells.get("manager", "")
    if "=" in path:
        found = users.get(path.casefold())
        return {**cells, "manager": found if found is not None else normalised(path).name}
    return cells


def _ask(
    setup: Directory, folder: Path, attributes: dict[str, str]
) -> list[tuple[str, dict[str, str], bool]]:
    connection = _connection(setup, folder)
    try:
        connection.open(read_server_info=False)
        if setup.starttls:
            connection.start_tls(read_server_info=False)
        connection.bind(read_server_info=False)
        return list(_search(connection, setup, attributes))
    finally:
        # ldap3 leaves the socket open where a handshake or a bind fails.
        with suppress(LDAPException, OSError):
            connection.unbind()
        if connection.socket:
            connection.socket.close()


def _connection(setup: Directory, folder: Path) -> Any:
    secure = setup.url.startswith("ldaps://")
    ca = folder / setup.ca_file if setup.ca_file else None
    if ca and not ca.is_file():
        raise BadConfiguration(f"{ca}: there is no such file; expected the CA's certificate (PEM).")
    tls = _Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(ca) if ca else None)
    server = ldap3.Server(
        setup.url, use_ssl=secure, tls=tls, get_info=ldap3.NONE, connect_timeout=SECONDS
    )
    return ldap3.Connection(
        server,
        user=setup.bind,
        password=_password(setup, folder),
        auto_referrals=False,
        read_only=True,
        receive_timeout=SECONDS,
        raise_exceptions=True,
    )


def _password(setup: Directory, folder: Path) -> str | None:
    if setup.password_file is None:
        return None
    path = folder / setup.password_file
    try:
        password = path.read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise BadConfiguration(
            f"{path}: the password of `directory.bind` cannot be read."
        ) from None
    if not password:
        raise BadConfiguration(f"{path}: is empty; expected the password of `directory.bind`.")
    return password


def _search(
    connection: Any, setup: Directory, attributes: dict[str, str]
) -> Iterator[tuple[str, dict[str, str], bool]]:
    wanted = sorted(
        {*attributes.values(), *(["userAccountControl"] if setup.schema_ == "ad" else [])}
    )
    found = connection.extend.standard.paged_search(
        setup.base,
        setup.filter or FILTERS[setup.schema_],
        attributes=wanted,
        paged_size=setup.page_size,
        generator=True,
    )
    count = 0
    for one in found:
        if one.get("type") != "searchResEntry":
            continue  # a referral leads to another server, which nobody named
        count += 1
        if count > setup.largest:
            raise UnreadableInput(
                f"{setup.url}: more than {setup.largest:,} entries; narrow `filter` or raise "
                f"`directory.largest`."
            )
        raw = {k.casefold(): v for k, v in one["raw_attributes"].items()}
        cells = {column: _first(raw, name) for column, name in attributes.items()}
        control = _first(raw, "userAccountControl")
        active = not (control.isdigit() and int(control) & DISABLED)
        yield str(one["dn"]), cells, active


def _first(raw: dict[str, list[bytes]], name: str) -> str:
    values = raw.get(name.casefold()) or [b""]
    return values[0][:LONGEST].decode("utf-8", "replace")


LONGEST = 2000

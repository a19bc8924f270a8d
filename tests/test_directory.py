"""People from a real slapd on loopback: pages, TLS with a CA of its own, both schemas, faults."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import make_site
from pydantic import ValidationError

from config.people import read_people
from config.settings import Directory
from errors import BadConfiguration, UnreadableInput
from fairwatch.cli import main
from fairwatch.directory import entries

SLAPD = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin:/sbin")
SCHEMA = Path("/etc/ldap/schema")
PEOPLE = 130
real = pytest.mark.skipif(
    not SLAPD or not SCHEMA.is_dir() or not shutil.which("openssl"),
    reason="needs the Debian packages slapd and openssl",
)
CONFIG = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
attributetype (1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE)
attributetype (1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE)
attributetype (1.2.840.113556.1.2.141 NAME 'department' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE)
attributetype (1.2.840.113556.1.4.782 NAME 'objectCategory' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE)
objectclass (1.2.840.113556.1.5.9 NAME 'user' SUP inetOrgPerson STRUCTURAL
  MAY (sAMAccountName $ userAccountControl $ department $ objectCategory))
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
disallow bind_anon
require authc
# An answer not asked for in pages ends after fifty entries, as an Active Directory's after 1,000.
sizelimit size.soft=50 size.hard=50 size.prtotal=unlimited
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory {folder}/db
access to * by dn.exact="cn=reader,dc=example,dc=org" read by anonymous auth by * none
limits dn.exact="cn=reader,dc=example,dc=org" size.soft=50 size.hard=50 size.prtotal=unlimited
"""
TREE = """
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=reader,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: pa ss

dn: ou=People,dc=example,dc=org
objectClass: organizationalUnit
ou: People

dn: ou=Staff,dc=example,dc=org
objectClass: organizationalUnit
ou: Staff
"""


@dataclass(frozen=True)
class Server:
    """A running slapd: its addresses, and where its certificates lie."""

    folder: Path
    ldaps: str
    ldap: str

    def setup(self, **other: Any) -> Directory:
        return Directory.model_validate(
            {
                "url": self.ldaps,
                "base": "ou=People,dc=example,dc=org",
                "schema": "openldap",
                "bind": "cn=reader,dc=example,dc=org",
                "password_file": "password",
                "ca_file": "ca.pem",
                "page_size": 20,
                **other,
            }
        )


def tree() -> str:
    made = [TREE]
    for number in range(PEOPLE):
        made.append(
            f"dn: uid=user{number:03},ou=People,dc=example,dc=org\nobjectClass: inetOrgPerson\n"
            f"uid: user{number:03}\ncn: User Number {number}\nsn: {number}\n"
            f"departmentNumber: Team {number % 7}\nmail: user{number:03}@example.org\n"
            f"manager: uid=USER000,ou=People,dc=example,dc=org\n"
        )
    for number, control in enumerate((512, 514)):
        made.append(
            f"dn: cn=Staff\\, {number},ou=Staff,dc=example,dc=org\nobjectClass: user\n"
            f"cn: Staff, {number}\nsn: {number}\nsAMAccountName: staff{number}\n"
            f"displayName: =Staff {number}\ndepartment: Advice\nobjectCategory: person\n"
            f"userAccountControl: {control}\nmanager: cn=Boss\\, The,ou=Else,dc=example,dc=org\n"
        )
    return "\n".join(made)


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def certificates(folder: Path) -> None:
    """A CA, a certificate it signed for 127.0.0.1, and a CA that signed nothing."""
    for name in ("ca", "other"):
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")  # fmt: skip
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout",
            "server.key", "-out", "server.csr")  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", "server.pem")  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slapd")
    (folder / "db").mkdir()
    (folder / "password").write_text("pa ss\n")
    certificates(folder)
    (folder / "slapd.conf").write_text(CONFIG.format(schema=SCHEMA, folder=folder))
    (folder / "tree.ldif").write_text(tree())
    assert SLAPD
    loaded = subprocess.run(
        [SLAPD, "-Ta", "-q", "-f", "slapd.conf", "-l", "tree.ldif"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
    ports = free_port(), free_port()
    urls = f"ldaps://127.0.0.1:{ports[0]}", f"ldap://127.0.0.1:{ports[1]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [SLAPD, "-d", "0", "-f", "slapd.conf", "-h", " ".join(urls)],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait(ports[1], process, folder / "log")
        yield Server(folder, *urls)
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(100):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.mark.slow
@real
def test_everybody_over_many_pages(server: Server) -> None:
    found = entries(server.setup(), server.folder)
    assert len(found) == PEOPLE
    assert all(e.active for e in found)
    cells = {e.cells["user"]: e.cells for e in found}
    assert cells["user007"] == {
        "user": "user007",
        "name": "User Number 7",
        "department": "Team 0",
        "manager": "user000",
        "email": "user007@example.org",
    }


@pytest.mark.slow
@real
def test_the_list_is_written_from_the_directory(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_site(tmp_path)
    with (folder / "fairwatch.yaml").open("a") as settings:
        settings.write(
            f"directory:\n  url: {server.ldaps}\n  base: ou=People,dc=example,dc=org\n"
            f"  schema: openldap\n  bind: cn=reader,dc=example,dc=org\n  page_size: 20\n"
            f"  password_file: {server.folder}/password\n  ca_file: {server.folder}/ca.pem\n"
        )
    words = ["people", "import", "--from", "ldap", "--site", str(folder), "--write"]
    for more, code in (([], 9), (["--confirm"], 0), ([], 0)):
        with pytest.raises(SystemExit) as end:
            main([*words, *more])
        assert end.value.code == code
    assert "0 new, 0 changed, 0 left" in capsys.readouterr().out
    people = read_people(folder / "people.csv")
    assert len([p for p in people.rows if p.end is None]) == PEOPLE
    assert {p.user for p in people.rows if p.end} == {"ann", "bob", "kim"}
    assert people.managers() == ["kim", "user000"], "the old rows stay"


@pytest.mark.slow
@real
def test_starttls(server: Server) -> None:
    assert len(entries(server.setup(url=server.ldap, starttls=True), server.folder)) == PEOPLE


@pytest.mark.slow
@real
def test_active_directorys_attributes(server: Server) -> None:
    setup = server.setup(schema="ad", base="ou=Staff,dc=example,dc=org")
    found = entries(setup, server.folder)
    assert [(e.cells["user"], e.active) for e in found] == [("staff0", True), ("staff1", False)]
    assert found[0].cells["manager"] == "boss, the", "somebody outside of what was asked for"
    assert found[0].cells["name"] == "=Staff 0", "the list refuses it, not the directory"


@pytest.mark.slow
@real
def test_a_filter_and_an_attribute_of_ones_own(server: Server) -> None:
    setup = server.setup(filter="(departmentNumber=Team 3)", attributes={"name": "sn"})
    found = entries(setup, server.folder)
    assert {e.cells["department"] for e in found} == {"Team 3"}
    assert [e.cells["name"] for e in found[:2]] == ["3", "10"]


@pytest.mark.slow
@real
@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"ca_file": "other.pem"}, "could not be read"),
        ({"bind": "cn=nobody,dc=example,dc=org"}, "could not be read"),
        ({"base": "ou=None,dc=example,dc=org"}, "could not be read"),
        ({"filter": "(((", "bind": "cn=reader,dc=example,dc=org"}, "could not be read"),
        ({"filter": "(uid=nobody)"}, "found nobody"),
        ({"largest": 50}, "more than 50 entries"),
    ],
)
def test_an_answer_in_part_is_none(server: Server, other: dict[str, Any], says: str) -> None:
    with pytest.raises(UnreadableInput, match=says) as told:
        entries(server.setup(**other), server.folder)
    assert "pa ss" not in str(told.value) and "cn=" not in str(told.value)


@pytest.mark.slow
@real
def test_a_name_the_certificate_does_not_have(server: Server) -> None:
    with pytest.raises(UnreadableInput, match="could not be read"):
        entries(server.setup(url=server.ldaps.replace("127.0.0.1", "localhost")), server.folder)


def test_nobody_answers(tmp_path: Path) -> None:
    setup = Directory(url=f"ldap://127.0.0.1:{free_port()}", base="dc=example")
    with pytest.raises(UnreadableInput, match="could not be read"):
        entries(setup, tmp_path)


@pytest.mark.parametrize(
    ("files", "says"),
    [({}, "no such file"), ({"ca.pem": "x"}, "cannot be read"), ({"ca.pem": "x", "password": "\n"}, "is empty")],
)  # fmt: skip
def test_files_that_are_missing(tmp_path: Path, files: dict[str, str], says: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    setup = Directory(
        url="ldaps://127.0.0.1:1",
        base="dc=example",
        bind="cn=x",
        password_file=Path("password"),
        ca_file=Path("ca.pem"),
    )
    with pytest.raises(BadConfiguration, match=says):
        entries(setup, tmp_path)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"url": "ldap://x", "bind": "b", "password_file": "p"}, "ldaps:// address, or `starttls"),
        ({"bind": "b"}, "expected `password_file`"),
        ({"starttls": True}, "only with an ldap://"),
        ({"url": "ldaps://user:password@x"}, "match pattern"),
        ({"attributes": {"roles": "x"}}, "expected attributes of user"),
    ],
)
def test_no_password_in_the_clear(other: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Directory.model_validate({"url": "ldaps://x", "base": "dc=x", **other})

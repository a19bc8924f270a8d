"""`fairwatch doctor`: each thing that can be wrong, how bad it is, and how to mend it."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import make_site, squid_line, write_lines

from errors import BadConfiguration, NoSuchThing
from fairwatch import doctor
from workspace import open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
Found = dict[str, tuple[str, str]]
Examine = Callable[..., Found]
MAIL = """\
mail:
  host: smtp.example.org
  user: fairwatch
  password_file: smtp-password
  sender: fw@example.org
  it: it@example.org
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site with nothing wrong: a log, people, decided numbers, mail, closed rights."""
    made = make_site(tmp_path / "site", lambda t: sourced(t) + MAIL)
    write_lines(made / "incoming" / "a.log", [squid_line(NOW - timedelta(days=1))])
    (made / "smtp-password").write_text("x")
    policy = made / "policy.yaml"
    policy.write_text(policy.read_text().replace("decided_by: suggestion", "decided_by: board"))
    made.chmod(0o750)
    return made


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Examine:
    """What doctor finds, by what it looked at; and whether it calls it wrong."""

    def run(folder: Path, *, now: datetime = NOW) -> Found:
        try:
            doctor.examine(folder, now, "t", json_=True)
            wrong = False
        except BadConfiguration:
            wrong = True
        checks = json.loads(capsys.readouterr().out)["checks"]
        assert wrong is any(c["state"] == "wrong" for c in checks)
        assert {c["state"] for c in checks} <= {"ok", "warning", "wrong"}
        assert all(c["advice"] for c in checks)
        return {c["what"]: (c["state"], c["advice"]) for c in checks}

    return run


def sourced(text: str) -> str:
    """The template with a source in the site folder."""
    return text.replace("/var/log/squid/access.log*", "incoming/*.log")


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_site_in_order_has_no_complaint(folder: Path, examine: Examine) -> None:
    found = examine(folder)
    assert {state for what, (state, _) in found.items() if what not in ("disk", "checkpoints")} == {
        "ok"
    }
    assert set(found) >= {"Python", "libraries", "disk", "source main-proxy", "people", "policy", "mail", "ledger"}  # fmt: skip
    assert found["source main-proxy"][1] == "1 files"
    assert found["people"][1] == "3 people, 1 managers"


def test_no_sources_are_wrong(folder: Path, examine: Examine) -> None:
    text = (folder / "fairwatch.yaml").read_text()
    begin, end = text.index("sources:\n"), text.index("people:")
    (folder / "fairwatch.yaml").write_text(f"{text[:begin]}sources: []\n{text[end:]}")
    state, advice = examine(folder)["sources"]
    assert (state, "fairwatch.yaml" in advice) == ("wrong", True)


def test_a_source_without_a_file_is_a_warning(folder: Path, examine: Examine) -> None:
    (folder / "incoming" / "a.log").unlink()
    assert examine(folder)["source main-proxy"] == ("warning", "no file matches incoming/*.log")


def test_an_unknown_format_is_told_and_not_a_bug(folder: Path, examine: Examine) -> None:
    edited(folder / "fairwatch.yaml", "format: squid  ", "format: quid  ")
    state, advice = examine(folder)["source main-proxy"]
    assert (state, "quid" in advice) == ("wrong", True)


def test_nobody_is_a_warning(folder: Path, examine: Examine) -> None:
    (folder / "people.csv").write_text("user,name,department,manager,email\n")
    state, advice = examine(folder)["people"]
    assert (state, "people.csv" in advice) == ("warning", True)


def test_people_who_have_all_left_are_nobody(folder: Path, examine: Examine) -> None:
    (folder / "people.csv").write_text(
        "user,name,department,manager,email,from,to\nann,Ann,Advice,,,2020-01-01,2025-12-31\n"
    )
    assert examine(folder)["people"][0] == "warning"


def test_a_manager_without_an_address_is_named(folder: Path, examine: Examine) -> None:
    edited(folder / "people.csv", "kim@example.org", "")
    assert examine(folder)["managers"] == ("warning", "no e-mail address for kim")


def test_bad_settings_are_wrong_and_the_machine_is_still_looked_at(
    folder: Path, examine: Examine
) -> None:
    edited(folder / "fairwatch.yaml", "threads: 2", "threads: many")
    found = examine(folder)
    state, advice = found["settings"]
    assert (state, "limits.threads" in advice) == ("wrong", True)
    assert "Python" in found


def test_missing_people_are_wrong(folder: Path, examine: Examine) -> None:
    (folder / "people.csv").unlink()
    state, advice = examine(folder)["settings"]
    assert (state, "people.csv" in advice) == ("wrong", True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("{from: 2014-04-01, to: }", "{from: 2027-01-01, to: }", id="later"),
        pytest.param("{from: 2014-04-01, to: }", "{from: 2014-04-01, to: 2026-11-19}", id="over"),
        pytest.param("given: 2014-04-01", "given: 2026-11-21", id="no notice yet"),
    ],
)
def test_a_policy_not_in_force_is_wrong(folder: Path, examine: Examine, old: str, new: str) -> None:
    edited(folder / "policy.yaml", old, new)
    state, advice = examine(folder)["policy"]
    assert (state, "in force" in advice) == ("wrong", True)


def test_suggested_numbers_are_a_warning_that_names_the_rules(
    folder: Path, examine: Examine
) -> None:
    edited(folder / "policy.yaml", "decided_by: board   # who", "decided_by: Suggestion   # who")
    state, advice = examine(folder)["policy"]
    assert (state, "decided_by" in advice) == ("warning", True)
    assert "excessive-use" in advice
    assert "blocked-site" not in advice


def test_a_broken_ledger_is_wrong(folder: Path, examine: Examine) -> None:
    ws = open_site(folder, "t")
    ws.note_settings(NOW)
    path = ws.ledger.segments()[0]
    path.write_bytes(path.read_bytes().replace(b'"actor":"t"', b'"actor":"u"', 1))
    state, advice = examine(folder)["ledger"]
    assert (state, "line" in advice) == ("wrong", True)


def test_without_mail_nobody_hears_of_a_failing_night(folder: Path, examine: Examine) -> None:
    edited(folder / "fairwatch.yaml", MAIL, "")
    state, advice = examine(folder)["mail"]
    assert (state, "nobody hears" in advice) == ("warning", True)


def test_a_missing_password_file_is_wrong(folder: Path, examine: Examine) -> None:
    (folder / "smtp-password").unlink()
    assert examine(folder)["mail"] == ("wrong", "smtp-password does not exist")


def test_the_password_file_is_looked_for_in_the_site_folder(
    folder: Path, examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mail does it: wherever the command happens to be called from."""
    monkeypatch.chdir(tmp_path)
    assert examine(folder)["mail"][0] == "ok"
    monkeypatch.chdir(folder)
    assert examine(Path(), now=NOW)["mail"][0] == "ok"


@pytest.mark.parametrize("mode", [0o755, 0o751, 0o757])
def test_a_folder_everybody_can_enter_is_a_warning(
    folder: Path, examine: Examine, mode: int
) -> None:
    folder.chmod(mode)
    state, advice = examine(folder)["rights"]
    assert (state, advice.endswith(f"chmod o= {folder}")) == ("warning", True)


def test_a_full_disk_is_a_warning(
    folder: Path, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9 << 30, 8 << 30, 1 << 30))
    assert examine(folder)["disk"] == ("warning", "1.0 GiB free")


def test_a_damaged_database_is_wrong(folder: Path, examine: Examine) -> None:
    (folder / "state").mkdir()
    (folder / "state" / "fairwatch.db").write_bytes(b"no database at all, " * 500)
    assert examine(folder)["settings"][0] == "wrong"


def test_no_folder_at_all_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoSuchThing, match="fairwatch init"):
        doctor.examine(tmp_path / "nosuch", NOW, "t", json_=False)


def test_for_people_it_is_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.examine(folder, NOW, "t", json_=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "what\tstate\tadvice"
    assert all(line.count("\t") == 2 for line in lines)


def test_it_writes_nothing_into_the_ledger(folder: Path) -> None:
    doctor.examine(folder, NOW, "t", json_=True)
    assert not list(open_site(folder, "t").ledger.lines())


@pytest.mark.parametrize(
    ("old", "new", "what", "named"),
    [
        (
            "permitted: []",
            'permitted: [{service: linkdin, clause: "5.1"}]',
            "policy names",
            "linkdin",
        ),
        ("  services: []\n  hosts", "  services: [tiktokk]\n  hosts", "policy names", "tiktokk"),
        ("role: communications", "role: comunications", "policy roles", "comunications"),
    ],
)
def test_names_nobody_knows_are_a_warning(
    folder: Path, examine: Examine, old: str, new: str, what: str, named: str
) -> None:
    """A service misspelt is not permitted, a role misspelt is not exempt: somebody would be judged."""
    assert {"policy names", "policy roles"}.isdisjoint(examine(folder))
    edited(folder / "policy.yaml", old, new)
    state, advice = examine(folder)[what]
    assert (state, named in advice) == ("warning", True)


def test_a_service_may_be_named_by_its_host(folder: Path, examine: Examine) -> None:
    edited(
        folder / "policy.yaml",
        "permitted: []",
        'permitted: [{service: facebook.com, clause: "5.1"}]',
    )
    assert "policy names" not in examine(folder)

"""`fairwatch init`: a site folder with commented settings, policy and people."""

from importlib.resources import files
from pathlib import Path

from config.document import read
from config.settings import Settings
from errors import AlreadyThere, WrongUsage
from proofs.signing import Keys
from workspace import day_keys

FOLDERS = (
    *("lake", "state", "ledger", "checkpoints", "certificates", "reports", "evidence"),
    *("logs", "work", "incoming"),
)


def policies() -> list[str]:
    """The policies that come with Fairwatch."""
    return sorted(p.stem for p in (_shipped() / "policies").glob("*.yaml"))


def init(
    folder: Path,
    policy: str,
    *,
    name: str | None = None,
    timezone: str | None = None,
    key_file: Path | None = None,
) -> list[Path]:
    """Write fairwatch.yaml, policy.yaml, people.csv and keys; never over what is there.

    `key_file`: where the master key goes, relative to the folder; else beside the folder.

    Raises WrongUsage for an unknown policy, AlreadyThere where one of the files exists.
    """
    if policy not in policies():
        raise WrongUsage(f"--policy: found {policy!r}; expected one of {', '.join(policies())}.")
    settings = (_shipped() / "templates" / "fairwatch.yaml").read_text("utf-8")
    if name:
        settings = settings.replace("name: Example Charity", f"name: {_quoted(name)}")
    if timezone:
        settings = settings.replace(
            "timezone: Europe/London  ", f"timezone: {_quoted(timezone)}  ", 1
        )
    key_file = key_file or Path("..") / f"{folder.resolve().name}.master.key"
    settings = settings.replace(
        "key_file: ../fairwatch.master.key  ", f"key_file: {_quoted(str(key_file))}  ", 1
    )
    content = {
        "fairwatch.yaml": settings,
        "policy.yaml": (_shipped() / "policies" / f"{policy}.yaml").read_text("utf-8"),
        "people.csv": (_shipped() / "templates" / "people.csv").read_text("utf-8"),
    }
    there = [n for n in content if (folder / n).exists()]
    if there:
        raise AlreadyThere(f"{folder}: holds {', '.join(there)} already; nothing was written.")
    for sub in FOLDERS:
        (folder / sub).mkdir(parents=True, exist_ok=True)
    # What is stored here is about people: nobody else on the machine needs to read it.
    folder.chmod(0o750)
    for file_name, text in content.items():
        (folder / file_name).write_text(text, "utf-8")
    chosen = read(folder / "fairwatch.yaml", Settings).encryption
    day_keys(folder.resolve(), chosen, {}).unlock()
    keys = Keys(folder / "keys")
    if not keys.exist:
        keys.make()
    return [folder / n for n in content]


def _shipped() -> Path:
    return Path(str(files("config")))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

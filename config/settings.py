"""fairwatch.yaml as typed settings: organisation, sources, storing, retention, mail, timetable."""

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

CEILING_DAYS = 366
FLOOR_DAYS = 28
"""A retention shorter than four weeks is taken for a typo: no weekly report could be made."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("expected a zone of the IANA database such as Europe/London") from None
    return name


def _keep(value: Any) -> int | None:
    """Days, or None for one calendar year."""
    if value is None or value == "1 year":
        return None
    days = re.fullmatch(r"(\d+) days?", str(value))
    if not days or not FLOOR_DAYS <= int(days[1]) < CEILING_DAYS:
        raise ValueError(
            f"expected `1 year` (the ceiling) or a number of days such as `90 days`, "
            f"at least {FLOOR_DAYS}"
        )
    return int(days[1])


def _length(value: Any) -> int:
    """`8 hours` in seconds."""
    match = re.fullmatch(r"(\d{1,5}) (minute|hour|day)s?", str(value))
    seconds = int(match[1]) * LENGTHS[match[2]] if match else 0
    if not 0 < seconds <= 366 * LENGTHS["day"]:
        raise ValueError("expected a length of time such as `90 minutes`, `8 hours` or `8 days`")
    return seconds


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("expected an address or a network such as 10.20.0.0/24") from None


def _days(value: Any) -> int:
    """`30 days` as a number; a backup may outlive the year."""
    match = re.fullmatch(r"(\d{1,4}) days?", str(value))
    if not match or not int(match[1]):
        raise ValueError("expected a number of days such as `30 days`")
    return int(match[1])


LENGTHS = {"minute": 60, "hour": 3600, "day": 86_400}
Length = Annotated[int, BeforeValidator(_length)]
Network = Annotated[str, AfterValidator(_network)]
Zone = Annotated[str, AfterValidator(_zone)]
Days = Annotated[int, BeforeValidator(_days)]
Keep = Annotated[int | None, BeforeValidator(_keep)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Annotated[str, Field(pattern=r"^(mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):[0-5]\d$")]


class Model(BaseModel):
    """Every part of the settings refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Organisation(Model):
    """Whose logs these are, and the zone its days and hours are counted in."""

    name: str = Field(min_length=1)
    timezone: Zone


class Source(Model):
    """One feed of logs: what writes it, how, and where it lies."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    format: str = "auto"
    logformat: str | None = None
    paths: list[str] = Field(min_length=1)
    timezone: Zone | None = None
    dates: Literal["dmy", "mdy"] | None = None
    columns: list[str] = []

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone of times that carry none."""
        return ZoneInfo(self.timezone) if self.timezone else None

    @model_validator(mode="after")
    def _no_password_in_a_path(self) -> "Source":
        if any(_secret_in(path) for path in self.paths):
            raise ValueError("expected no password in `paths`; use `remote` and `password_file`")
        return self


class ListUse(Model):
    """What is different for one imported list: the order of these is the order lists are asked in."""

    name: str
    categories: dict[str, str | None] = {}
    below_shipped: bool = False
    use: bool = True


class Remote(Model):
    """How a server or bucket that `paths` name is reached; secrets lie in files of their own."""

    at: str = Field(pattern=r"^(s3|sftp)://[^\s]+$")
    endpoint: str | None = Field(None, pattern=r"^https?://[^\s/@]+/?$")
    region: str = "us-east-1"
    key_file: Path | None = None
    password_file: Path | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _keys_are_known(self) -> "Remote":
        if _secret_in(self.at):
            raise ValueError("expected no password in an address; use `password_file`")
        return self


def _secret_in(path: str) -> bool:
    return bool(re.match(r"^[a-z0-9]+://[^/@]*:[^/@]*@", path))


WITHOUT_ZONE = ("windows-dhcp", "ad-logon")
WITHOUT_END = ("dnsmasq", "windows-dhcp")
WITH_LIFETIME = (*WITHOUT_END, "ad-logon", "radius")


class Evidence(Model):
    """One feed of who had which address when; `lifetime` (seconds) is how long a line holds."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    kind: Literal[
        "isc-dhcp", "kea", "dnsmasq", "windows-dhcp", "radius", "ad-logon", "static", "devices"
    ]
    paths: list[str] = Field(min_length=1)
    timezone: Zone | None = None
    lifetime: Length | None = None
    day_first: bool | None = None

    @model_validator(mode="after")
    def _says_what_the_lines_do_not(self) -> "Evidence":
        if self.kind in WITHOUT_ZONE and self.timezone is None:
            raise ValueError(
                f"expected `timezone`, such as Europe/London: the times of {self.kind} carry none"
            )
        if self.kind in WITHOUT_END and self.lifetime is None:
            raise ValueError(
                f"expected `lifetime`, the lease time set on the server, such as `8 hours`: the "
                f"lines of {self.kind} do not say how long a lease runs"
            )
        if self.lifetime is not None and self.kind not in WITH_LIFETIME:
            raise ValueError(f"expected no `lifetime`: the lines of {self.kind} say when they end")
        if self.day_first is not None and self.kind != "ad-logon":
            raise ValueError("expected `day_first` only where kind is ad-logon")
        return self


class Directory(Model):
    """The LDAP server people are read from, and which attribute says what."""

    url: str = Field(pattern=r"^ldaps?://[^/@\s]+$")
    base: str = Field(min_length=1)
    schema_: Literal["ad", "openldap"] = Field("ad", alias="schema")
    bind: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    starttls: bool = False
    filter: str | None = None
    attributes: dict[str, str] = {}
    page_size: int = Field(500, ge=1, le=1000)
    largest: int = Field(100_000, ge=1)

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> "Directory":
        if self.bind and not self.password_file:
            raise ValueError("expected `password_file` beside `bind`")
        if self.bind and self.url.startswith("ldap://") and not self.starttls:
            raise ValueError("expected an ldaps:// address, or `starttls: true`, where `bind` is")
        if self.starttls and self.url.startswith("ldaps://"):
            raise ValueError("expected `starttls` only with an ldap:// address")
        unknown = sorted(set(self.attributes) - set(DIRECTORY_COLUMNS))
        if unknown:
            raise ValueError(f"expected attributes of {', '.join(DIRECTORY_COLUMNS)}")
        return self


DIRECTORY_COLUMNS = ("user", "name", "department", "manager", "email", "kind", "from", "to")


class Store(Model):
    """What is kept of a line; the defaults keep least."""

    other_hosts: bool = False
    paths: bool = False


class Retention(Model):
    """How long each dataset is kept; one calendar year is the ceiling and the default."""

    events: Keep = None
    rejects: Keep = None
    activity: Keep = None
    usage: Keep = None
    findings: Keep = None
    reports: Keep = None
    evidence: Keep = None
    cases: Keep = None
    calibration: Keep = None
    logs: Keep = None
    ledger: Keep = None
    certificates: Keep = None
    largest_share: float = Field(0.5, gt=0, le=1)

    @property
    def access(self) -> int | None:
        """A bundle for the person concerned holds rows of every kind: due when the longest kept is."""
        return _longest(
            getattr(self, n) for n, f in type(self).model_fields.items() if f.annotation != float
        )

    @property
    def rights(self) -> int | None:
        """A request is on record until no line that it is about can be stored any more."""
        return _longest((self.events, self.activity, self.usage, self.findings))


def _longest(kept: Iterable[int | None]) -> int | None:
    days = [*kept]
    return None if None in days else max(d for d in days if d is not None)


class Mail(Model):
    """The SMTP server reports and alarms are sent through."""

    host: str
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    sender: str
    it: str

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> "Mail":
        if self.user and self.security == "none":
            raise ValueError("expected security `starttls` or `tls` where a login is used")
        if self.user and not self.password_file:
            raise ValueError("expected `password_file` beside `user`")
        return self


class Encryption(Model):
    """Whether partitions are sealed with day keys, and where the master key that wraps them is kept."""

    enabled: bool = True
    key_file: Path | None = None
    key_variable: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    keyring: str | None = Field(None, min_length=1)
    key_command: list[str] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> "Encryption":
        named = [self.key_file, self.key_variable, self.keyring, self.key_command]
        if sum(place is not None for place in named) != 1:
            raise ValueError(
                "expected one of `key_file`, `key_variable`, `keyring` and `key_command`: where the "
                "master key is kept (with `enabled: false` too, for the days sealed before)"
            )
        return self


class Officer(Model):
    """The data protection officer, who gets certificates, and checkpoints where `mail` says so."""

    name: str = Field(min_length=1)
    email: str = Field(min_length=3)
    mail: Literal["certificates", "all"] = "certificates"


class Authority(Model):
    """A time stamp authority (RFC 3161), and the certificate its answers are checked by."""

    url: str = Field(pattern=r"^https?://[^\s@]+$")
    ca_file: Path


class Checkpoints(Model):
    """Where checkpoints of the ledger go: out of reach of whoever can write to this machine."""

    folder: Path | None = None
    timestamp: Authority | None = None


class Backup(Model):
    """A backup that may hold what was deleted here: what it is, where it lies, how long it keeps."""

    name: str = Field(min_length=1)
    place: str = Field(min_length=1)
    keeps: Days


class Timetable(Model):
    """When the jobs run, in the organisation's zone."""

    nightly: Clock = "02:30"
    weekly: Weekday = "mon 07:00"


class Limits(Model):
    """What one run may cost."""

    threads: int = Field(2, ge=1, le=64)
    memory_mb: int = Field(1024, ge=256)
    line_bytes: int = Field(65536, ge=1024, le=1 << 20)
    expansion: int = Field(400, ge=20)


class Settings(Model):
    """The whole of fairwatch.yaml."""

    organisation: Organisation
    sources: list[Source] = []
    remote: list[Remote] = []
    identity: list[Evidence] = []
    shared_addresses: list[Network] = []
    directory: Directory | None = None
    people: Path = Path("people.csv")
    leave: Path | None = None
    policy: list[Path] = [Path("policy.yaml")]
    sites: list[Path] = []
    lists: list[ListUse] = []
    device_category: Literal["witness", "decides"] = "witness"
    store: Store = Store()
    retention: Retention = Retention()
    encryption: Encryption | None = None
    mail: Mail | None = None
    dpo: Officer | None = None
    checkpoints: Checkpoints = Checkpoints()
    backups: list[Backup] = []
    schedule: Timetable = Timetable()
    limits: Limits = Limits()
    state: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_policy_may_stand_alone(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("policy"), str):
            data = {**data, "policy": [data["policy"]]}
        return data

    @model_validator(mode="after")
    def _names_differ(self) -> "Settings":
        for block in (self.sources, self.identity):
            names = [one.name for one in block]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"expected a different name for every source; twice: {twice}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The organisation's zone."""
        return ZoneInfo(self.organisation.timezone)

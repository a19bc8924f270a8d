"""`fairwatch calibrate`: one person's scripted twenty minutes, and what Fairwatch makes of them."""

import secrets
import select
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer

from analytics import calibration
from analytics.calibration import Done, Record, left
from config.calibration import Plan, plan
from errors import NoSuchThing, NotPermitted, WrongUsage
from fairwatch import place, show
from fairwatch.days import derived
from fairwatch.options import AsJson, Site, opened
from fairwatch.program import Commands
from lake.files import write
from reports.calibration import script
from workspace import Workspace

SERVICE = "reddit"
CONSENT = (
    "What you do in the next {minutes:.0f} minutes is written down with your name and the times of the "
    "steps, nothing else: no address of a page. It serves to measure Fairwatch's error on this network, "
    "is never held against you, is deleted after the time set in fairwatch.yaml, and at once when you "
    "ask (`fairwatch calibrate --forget {id}`). You may stop at any step (Ctrl-C)."
)


class Talk(Protocol):
    """Whoever sits at the terminal."""

    def say(self, text: str = "") -> None: ...
    def enter(self, prompt: str, seconds: float | None = None) -> str: ...


class Terminal:
    """Lines to and from the terminal; a countdown while it waits, where it is drawn on one."""

    def say(self, text: str = "") -> None:
        """A line."""
        show.say_at_once(text)

    def enter(self, prompt: str, seconds: float | None = None) -> str:
        """What is typed before Enter; raises Abort where nobody can type."""
        drawn = sys.stdin.isatty() and sys.stdout.isatty() and seconds is not None
        print(prompt, end="" if drawn else " ", flush=True)
        if drawn:
            assert seconds is not None
            self._count_down(prompt, place.now().timestamp() + seconds)
        line = sys.stdin.readline()
        if not line:
            raise typer.Abort
        return line.strip()

    def _count_down(self, prompt: str, end: float) -> None:
        while not select.select([sys.stdin], [], [], 1.0)[0]:
            seconds = round(end - place.now().timestamp())
            rest = f"{seconds // 60}:{seconds % 60:02d} left" if seconds > 0 else "time is up"
            print(f"\r{prompt} [{rest}]   ", end="", flush=True)


def calibrate(
    person: Annotated[
        str | None, typer.Option(help="The volunteer, by the user name the logs have.")
    ] = None,
    service: Annotated[str, typer.Option(help="The service used in the script.")] = SERVICE,
    measure: Annotated[
        bool, typer.Option("--measure", help="Compare finished scripts with the logs.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="Write the script to print.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Begin anew, whatever is unfinished.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="What has been recorded.")] = False,
    forget: Annotated[str | None, typer.Option(metavar="ID", help="Delete a record.")] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Lead one volunteer through twenty scripted minutes, then measure Fairwatch against them."""
    if measure:
        _measure(derived(site), json_)
        return
    ws = opened(site)
    if forget is not None:
        calibration.forget(ws, forget)
        _act(ws, forget, "forgotten")
        show.say(f"{forget}: deleted.")
    elif list_:
        _list(ws, json_)
    elif page is not None:
        _named(ws, service)
        write(page, script(ws, plan(), service), page.parent)
        show.say(f"wrote {page}")
    elif person is None:
        raise WrongUsage(
            "--person: missing; expected the user name the logs have for the volunteer."
        )
    else:
        _run(ws, person, service, again)


def _run(ws: Workspace, person: str, service: str, again: bool) -> None:
    talk, script_ = Terminal(), plan()
    found = [r for r in calibration.records(ws) if r.person == person and not r.finished]
    if found and not again and found[-1].plan == script_.version:
        record = found[-1]
        _named(ws, record.service)
        talk.say(
            f"Going on with {record.id}: {len(record.steps)} of {len(script_.steps)} steps done."
        )
    else:
        _named(ws, service)
        record = _agreed(ws, Record(_id(), person, service, place.now(), script_.version), talk)
        _act(ws, record.id, "begun")
    name = ws.sites.name(record.service)
    try:
        record = guide(record, script_, name, talk, place.now, lambda r: calibration.save(ws, r))
    except (KeyboardInterrupt, typer.Abort):
        kept = len(calibration.one(ws, record.id).steps)
        talk.say(
            f"\nStopped; {kept} of {len(script_.steps)} steps are kept. The same command goes on with "
            f"the next one."
        )
        raise typer.Abort from None
    _act(ws, record.id, "finished")
    talk.say(
        f"\nDone; thank you. When the logs of these minutes have been read (tonight's run, or `fairwatch "
        f"ingest` now), `fairwatch calibrate --measure` says how far off Fairwatch was. ({record.id})"
    )


def guide(
    record: Record,
    script_: Plan,
    service: str,
    talk: Talk,
    now: Callable[[], datetime],
    save: Callable[[Record], object],
) -> Record:
    """Lead through the steps that are left; each is kept as soon as it is done.

    A step that is broken off leaves nothing and is done again.
    """
    steps = {step.id: (at, step) for at, step in enumerate(script_.steps, 1)}
    for id_ in left(record, script_):
        at, step = steps[id_]
        talk.say(f"\nStep {at} of {len(steps)}: {step.title} ({step.minutes:g} min)")
        talk.say(f"  {step.words(service)}")
        talk.enter("  Enter when you begin.")
        start = now()
        talk.say(f"  Begun at {start.astimezone():%H:%M:%S}.")
        talk.enter(f"  Enter when you stop, after {step.minutes:g} min.", step.minutes * 60)
        stop = now()
        record = replace(record, steps=(*record.steps, Done(step.id, step.counts, start, stop)))
        record = replace(record, finished=not left(record, script_))
        save(record)
        talk.say(f"  {step.title}: {(stop - start).total_seconds() / 60:.1f} min.")
    return record


def _agreed(ws: Workspace, record: Record, talk: Talk) -> Record:
    person = ws.people.find(record.person)
    talk.say(f"Calibration {record.id} with {person.name if person else record.person}")
    if person is None:
        talk.say("  This name is not in the list of people: is it the one the logs have?")
    talk.say(CONSENT.format(minutes=plan().minutes, id=record.id))
    if talk.enter('If you are this person and agree, type "I agree":').casefold() != "i agree":
        raise NotPermitted("calibration: the volunteer did not agree; nothing was recorded.")
    record = replace(record, consented=place.now())
    calibration.save(ws, record)
    return record


def _measure(ws: Workspace, json_: bool) -> None:
    finished = [r for r in calibration.records(ws) if r.finished]
    if not finished:
        raise NoSuchThing(
            "calibration: no finished record; `fairwatch calibrate --person USER` makes one."
        )
    told: list[str] = []
    for record in finished:
        try:
            made = calibration.measure(ws, record, place.now())
        except NoSuchThing as error:
            told.append(str(error))
            continue
        calibration.save(ws, made)
        _act(ws, made.id, "measured")
    if len(told) == len(finished):
        raise NoSuchThing("\n".join(told))
    for line in told:
        show.warn(line)
    _list(ws, json_)


def _list(ws: Workspace, json_: bool) -> None:
    found = calibration.records(ws)
    words = calibration.words(ws, place.now().date())
    if json_:
        show.as_json({"calibration": words, "records": [_as_json(r) for r in found]})
        return
    header = ("id", "person", "service", "steps", "true", "low", "likely", "high", "precision", "recall", "counted elsewhere")  # fmt: skip
    rows = []
    for r in found:
        m = r.measured
        numbers = (m.true_min, m.low_min, m.likely_min, m.high_min, m.precision, m.recall) if m else (None,) * 6  # fmt: skip
        apart = "; ".join(f"{s} {n:.1f}" for s, n in m.elsewhere_min.items()) if m else ""
        rows.append(
            (r.id, r.person, r.service, f"{len(r.steps)}/{len(plan().steps)}", *numbers, apart)
        )
    show.table("Calibrations (minutes)", header, rows)
    show.say(words)


def _as_json(record: Record) -> dict[str, object]:
    made = asdict(record)
    if record.measured:
        made["measured"] |= {
            "precision": record.measured.precision,
            "recall": record.measured.recall,
            "inside": record.measured.inside,
        }
    return made


def _named(ws: Workspace, service: str) -> None:
    """Raises WrongUsage where nothing would be counted of the service."""
    found = ws.sites.service(service)
    if not any(found.category in policy.categories for policy in ws.policies):
        raise WrongUsage(
            f"--service: found {service!r}; expected a service whose category the policy calls social "
            f"media, such as {SERVICE}."
        )


def _id() -> str:
    return f"c-{secrets.token_hex(4)}"


def _act(ws: Workspace, id_: str, what: str) -> None:
    ws.ledger.append("calibration", time=place.now(), actor=ws.actor, record=id_, what=what)


COMMANDS: Commands = {"calibrate": calibrate}

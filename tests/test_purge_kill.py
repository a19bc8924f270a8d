"""A purge killed at any moment: the next one ends it, and nobody was told that it was done."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from factory import again
from purgelab import DEAD, acts, build, ends_well, kept, no_word_without_the_deed, start

from retention import STEPS
from workspace import Workspace, open_site

POINTS = (*(name for name, _ in STEPS), "act", "row", "file", "segment")
ROUNDS = 5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("kill") / "site")


@pytest.fixture
def site_(old_site: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(old_site, tmp_path / "site")
    for key in old_site.parent.glob("*.key"):  # the master key stands beside the folder
        shutil.copy(key, tmp_path)
    return open_site(tmp_path / "site", "test")


def test_unhurt(site_: Workspace) -> None:
    before = kept(site_)
    process = start(site_.folder)
    out, _ = process.communicate(timeout=60)
    said = ["ready", *(name for name, _ in STEPS), "done"]
    assert (process.returncode, out.split()) == (0, said)
    ends_well(site_, before)


@pytest.mark.parametrize("point", POINTS)
def test_dead_at_a_point(site_: Workspace, point: str) -> None:
    before = kept(site_)
    process = start(site_.folder, point)
    process.communicate(timeout=60)
    assert process.returncode == DEAD, "the point was not reached"
    ws = again(site_)
    assert ("purge intent" in acts(ws)) == (point != "plan")
    assert ("purge done" in acts(ws)) == (point == "say")
    no_word_without_the_deed(ws)
    ends_well(ws, before)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_killed_at_a_random_moment(site_: Workspace, round_: int) -> None:
    before = kept(site_)
    draw = random.Random(round_)
    for _ in range(3):
        process = start(site_.folder)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        no_word_without_the_deed(again(site_))
    ends_well(site_, before)

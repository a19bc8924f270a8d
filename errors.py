"""Every expected failure: a class, its exit code, and one sentence for the person who meets it."""


class FairwatchError(Exception):
    """Base of all expected failures; the message is shown as it is, without a trace."""

    exit_code = 1
    meaning = "unexpected: a bug; the trace is in logs/fairwatch-DAY.log"


class WrongUsage(FairwatchError):
    exit_code = 2
    meaning = "wrong usage: a command, option or value that does not exist"


class BadConfiguration(FairwatchError):
    exit_code = 3
    meaning = "bad configuration: the sentence names file, line, key, what was found and expected"


class UnreadableInput(FairwatchError):
    exit_code = 4
    meaning = "input not readable: at least one log file could not be read to its end"


class Locked(FairwatchError):
    exit_code = 5
    meaning = "locked: another run is at work on this site folder"


class ProofFailed(FairwatchError):
    exit_code = 6
    meaning = "proof failed: the ledger, an evidence pack or a stored file is not what it was"


class Overdue(FairwatchError):
    exit_code = 7
    meaning = "overdue data found: something older than the limit still exists"


class NotPermitted(FairwatchError):
    exit_code = 8
    meaning = "not permitted: a reason, an approval or a second person is missing"


class UnsafeDeletion(FairwatchError):
    exit_code = 9
    meaning = "refused: by this clock or retention setting, what is not due would be lost"


class MailFailed(FairwatchError):
    exit_code = 10
    meaning = "mail failed: the report was written but could not be sent"


class JobFailed(FairwatchError):
    exit_code = 11
    meaning = "job failed: at least one step of a scheduled job did not succeed"


class Damaged(FairwatchError):
    exit_code = 12
    meaning = "damaged: the site folder's own files contradict each other"


class NoSuchThing(FairwatchError):
    exit_code = 13
    meaning = "not found: no such site folder, case, person, team or week"


class AlreadyThere(FairwatchError):
    exit_code = 14
    meaning = "already there: files a person may have changed are never overwritten"


class CannotWrite(FairwatchError):
    exit_code = 15
    meaning = "cannot write: the disk is full, or the site folder may not be written to"


class NoKey(FairwatchError):
    exit_code = 16
    meaning = "no key: the master key or a day's key is missing, or is not the right one"


class NotPublished(FairwatchError):
    exit_code = 17
    meaning = "not published: a checkpoint was made but could not be put outside the machine"


class ReviewDue(FairwatchError):
    exit_code = 18
    meaning = "review due: a legal hold stands longer than anybody answered for it"


EXPECTED: tuple[type[FairwatchError], ...] = (
    WrongUsage,
    BadConfiguration,
    UnreadableInput,
    Locked,
    ProofFailed,
    Overdue,
    NotPermitted,
    UnsafeDeletion,
    MailFailed,
    JobFailed,
    Damaged,
    NoSuchThing,
    AlreadyThere,
    CannotWrite,
    NoKey,
    NotPublished,
    ReviewDue,
)
"""All expected failures in the order of their codes; help and docs are made from this table."""

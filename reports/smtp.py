"""A session with the SMTP server of the settings: encrypted, logged in, or refused in one sentence."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import getaddresses
from pathlib import Path

from config.settings import Mail
from errors import MailFailed
from reports.render import plain

TIMEOUT_S = 30
UNUSABLE = (MessageError, ValueError, IndexError, UnicodeError)
"""What the email package raises for an address or a header that cannot be sent."""


@contextmanager
def connected(mail: Mail, folder: Path) -> Iterator[smtplib.SMTP]:
    """A session with the server, encrypted and logged in as the settings say; raises MailFailed."""
    where = f"{mail.host}:{mail.port}"
    password = _password(mail, folder)
    try:
        context = ssl.create_default_context(cafile=folder / mail.ca_file if mail.ca_file else None)
        with _session(mail, context) as server:
            if mail.security == "starttls":
                server.starttls(context=context)
            if mail.user:
                server.login(mail.user, password)
            yield server
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed(
            f"{where}: refused the login of {mail.user!r} ({said(error)}); "
            f"check `mail.user` and the file `mail.password_file` names."
        ) from None
    except smtplib.SMTPNotSupportedError as error:
        raise MailFailed(
            f"{where}: {said(error)}; nothing was sent. Ask for a server that encrypts and takes "
            f"the login, or correct `mail.security` and `mail.port` in fairwatch.yaml."
        ) from None
    except ssl.SSLError as error:
        raise MailFailed(
            f"{where}: no trusted encrypted connection ({error.reason or error}); check "
            f"`mail.security`, `mail.port`, and `mail.ca_file` for a certificate of your own."
        ) from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(
            f"{where}: {said(error)}; check `mail.host` and `mail.port` in fairwatch.yaml, and "
            f"that this machine may reach them, then send again."
        ) from None


def said(error: Exception) -> str:
    """What a server or the network said, in one line."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = [
            f"{code} {text.decode('utf-8', 'replace')}" for code, text in error.recipients.values()
        ]
        return plain(" ".join("; ".join(answers).split()))
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return plain(" ".join(f"{error.smtp_code} {text}".split()))
    return plain(" ".join(str(error).split())) or type(error).__name__


def address(text: str) -> Address:
    """`Name <name@example.org>` or the bare address; raises one of UNUSABLE."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("a control character in an address")
    several = getaddresses([text])
    if len(several) != 1:
        raise ValueError("not one address")
    name, spec = several[0]
    found = Address(display_name=name, addr_spec=spec)
    if not found.username or not found.domain:
        raise ValueError("no @ in it")
    return found


def _session(mail: Mail, context: ssl.SSLContext) -> smtplib.SMTP:
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=TIMEOUT_S, context=context)
    return smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT_S)


def _password(mail: Mail, folder: Path) -> str:
    if mail.user is None or mail.password_file is None:
        return ""
    try:
        return (folder / mail.password_file).read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise MailFailed(
            f"{mail.host}:{mail.port}: the password could not be read from {mail.password_file} "
            f"({said(error)}); check `mail.password_file` and who may read it."
        ) from None

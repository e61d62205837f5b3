"""What an approver does, over the real ways: reads the e-mail, follows its link, looks at the page, answers."""

import email
import email.policy
import html
import re
import time
from email.message import EmailMessage
from pathlib import Path

import httpx

END_OF_MESSAGE = "-" * 79  # Django's file backend writes this line after each message


class Mailbox:
    """The directory that e-mails are written to, read one new message at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._seen = {message["Message-ID"] for message in self._messages()}

    def next(self, to: str, containing: str = "", seconds: float = 30) -> EmailMessage:
        """The next e-mail to an address whose text holds `containing`; others are passed over. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in self._messages():
                if message["Message-ID"] not in self._seen and to in message["To"] and containing in text_of(message):
                    self._seen.add(message["Message-ID"])
                    return message
            time.sleep(0.05)
        raise TimeoutError(f"no e-mail to {to} in {self.directory} within {seconds:g} s")

    def _messages(self) -> list[EmailMessage]:
        found = []
        for file in sorted(self.directory.glob("*.log"), key=lambda path: path.stat().st_mtime_ns):
            *complete, _ = file.read_text().split(END_OF_MESSAGE)
            found += [email.message_from_string(text.lstrip("\n"), policy=email.policy.default) for text in complete]
        return [message for message in found if isinstance(message, EmailMessage)]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    return str(body.get_content()) if body else ""


def link_in(message: EmailMessage) -> str:
    """The approver's own link. Raises LookupError when there is none."""
    found = re.search(r"https?://\S+/approvals/r/\S+", text_of(message))
    if found is None:
        raise LookupError("the e-mail holds no approval link")
    return found[0]


class Approver:
    """A browser without a sign-in: the link is all it has."""

    def __init__(self, link: str) -> None:
        self.link = link
        self._http = httpx.Client(timeout=15, follow_redirects=True, trust_env=False)

    def look(self) -> str:
        """The page's text, as read. Raises httpx.HTTPStatusError."""
        answer = self._http.get(self.link)
        answer.raise_for_status()
        return readable(answer.text)

    def answer(self, answer: str, comment: str = "") -> str:
        """Press a button (`approve` or `reject`); the page that follows. Raises httpx.HTTPStatusError."""
        return self.send(self.form(answer, comment))

    def form(self, answer: str, comment: str = "") -> dict[str, str]:
        """What the page's form sends. Raises httpx.HTTPStatusError."""
        page = self._http.get(self.link)
        page.raise_for_status()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        if token is None:
            raise LookupError("the page offers nothing to answer")
        return {"csrfmiddlewaretoken": token[1], "answer": answer, "comment": comment}

    def send(self, fields: dict[str, str]) -> str:
        """Send it; the page that follows. Raises httpx.HTTPStatusError."""
        # A browser sends the page's address; Django checks it on https.
        done = self._http.post(self.link, data=fields, headers={"Referer": self.link})
        done.raise_for_status()
        return readable(done.text)

    def __enter__(self) -> "Approver":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


def readable(page: str) -> str:
    """The words of an HTML page's body, one line per block."""
    body = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", "", page)
    blocks = re.split(r"(?i)</?(?:p|h\d|li|div|section|tr|dt|dd|pre|form)\b[^>]*>", body)
    lines = (html.unescape(re.sub(r"<[^>]+>", " ", block)) for block in blocks)
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())

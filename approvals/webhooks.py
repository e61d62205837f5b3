"""Webhooks: a signed POST to one address per workflow, in a form that the receiving side understands.

Signed as https://www.standardwebhooks.com says. The address comes from an administrator and nobody else, and yet nothing is read
from it: no redirect is followed, of the answer the status counts, and whatever takes longer than a few seconds has failed.
What is sent names who, where, which request and the statement without its constants; values are for those who sign in.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.core.exceptions import ValidationError
from standardwebhooks import Webhook

from controlplane import crypto

FORMATS = ("generic", "slack", "teams")
SECRETS = ("url", "secret")  # an address is one too: many carry a token
TIMEOUT = 5.0  # seconds for each step, and in all twice as much


class NotDelivered(Exception):
    """The other side did not take it; the message says why and holds neither address nor secret."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is told: ``facts`` are lines (name, value) for people, ``fields`` the same for programs."""

    id: str
    type: str
    at: datetime
    title: str
    facts: tuple[tuple[str, str], ...]
    url: str
    fields: Mapping[str, Any]


def check(kept: Any) -> None:
    """Raises ValidationError where no notice could be sent to what a workflow keeps as its webhook."""
    try:
        webhook = opened(kept)
    except (AttributeError, TypeError, binascii.Error, crypto.Undecryptable):
        raise ValidationError({"notify": "The webhook that is kept cannot be read; set it anew by the policy file."}) from None
    problem = problem_with(webhook)
    if problem:
        raise ValidationError({"notify": problem})


def problem_with(webhook: Mapping[str, str]) -> str:
    """What is wrong with a webhook in clear; empty where nothing is. One without an address waits for it."""
    if webhook.get("format", "generic") not in FORMATS:
        return f"A webhook's format is one of {', '.join(FORMATS)}."
    if "url" in webhook and not _is_web_address(webhook["url"]):
        return "A webhook's url is an http:// or https:// address with a host and without user name."
    if "secret" in webhook and not _key(webhook["secret"]):
        return "A webhook's secret is base64 of 24 to 64 random bytes, with or without whsec_ before it: openssl rand -base64 32."
    if webhook.get("format", "generic") == "generic" and "url" in webhook and "secret" not in webhook:
        return "A generic webhook needs a secret, or its receiver could not tell who sent it."
    return ""


def opened(kept: Mapping[str, str]) -> dict[str, str]:
    """A workflow's webhook as kept → with its address and secret readable."""
    return {name: crypto.decrypt(base64.b64decode(value)).decode() if name in SECRETS else value for name, value in kept.items()}


def sealed(webhook: Mapping[str, str]) -> dict[str, str]:
    """The other way round."""
    return {
        name: base64.b64encode(crypto.encrypt(value.encode())).decode() if name in SECRETS else value for name, value in webhook.items()
    }


def send(kept: Mapping[str, str], event: Event, now: datetime) -> None:
    """Deliver one event. Raises: NotDelivered."""
    webhook = opened(kept)
    if "url" not in webhook or problem_with(webhook):
        raise NotDelivered(problem_with(webhook) or "the webhook has no url: give url_env in the policy file")
    body = json.dumps(_BODIES[webhook.get("format", "generic")](event), ensure_ascii=False)
    headers = {"Content-Type": "application/json", "User-Agent": "tidegate", "webhook-id": event.id}
    headers["webhook-timestamp"] = str(int(now.timestamp()))
    if "secret" in webhook:
        headers["webhook-signature"] = Webhook(webhook["secret"]).sign(event.id, now, body)
    asyncio.run(_post(webhook["url"], body.encode(), headers))


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        async with (
            asyncio.timeout(2 * TIMEOUT),  # also for a side that answers a byte at a time
            httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            status = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # TimeoutError is an OSError
        reason = "nothing answered there in time, or its certificate is not trusted"
        raise NotDelivered(f"{type(error).__name__}: {reason}") from None
    if not 200 <= status < 300:
        raise NotDelivered(f"HTTP {status}" + (": redirects are not followed" if 300 <= status < 400 else ""))


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and url.isprintable() and " " not in url


def _key(secret: str) -> bytes:
    """The key in a secret of the standard's form; nothing where it is not one."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return b""
    return key if 24 <= len(key) <= 64 else b""


def _generic(event: Event) -> dict[str, Any]:
    return {"type": event.type, "timestamp": event.at.isoformat(), "data": {**event.fields, "title": event.title, "url": event.url}}


def _slack(event: Event) -> dict[str, Any]:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: plain text, since mrkdwn would mention people."""
    lines = "\n".join(f"{name}: {value}" for name, value in event.facts)
    button = {"type": "button", "text": {"type": "plain_text", "text": "Look at it"}, "url": event.url}
    return {
        "text": event.title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": event.title[:150]}},
            {"type": "section", "text": {"type": "plain_text", "text": lines[:3000] or event.title}},
            {"type": "actions", "elements": [button]},
        ],
    }


def _teams(event: Event) -> dict[str, Any]:
    """https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors: an adaptive card, its Markdown taken for text."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": True, "text": _no_markdown(event.title)},
            {"type": "FactSet", "facts": [{"title": name, "value": _no_markdown(value)} for name, value in event.facts]},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Look at it", "url": event.url}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _no_markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]()#~<>|])", r"\\\1", text)


_BODIES = {"generic": _generic, "slack": _slack, "teams": _teams}

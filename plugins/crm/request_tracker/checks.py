"""`tresse check --live`: proves the settings against the running Request Tracker, and changes nothing there."""

from __future__ import annotations

from typing import Any

from hub.sdk import ConfigError, Notice, Rejected, TresseError

from .changes import Changes
from .client import Client, NotRequestTracker, Parameters, quoted
from .fields import meant, require_case_field
from .settings import RequestTrackerSettings
from .tickets import Tickets
from .voices import speaks

_SAMPLE = 5
"""The newest tickets tell how the queue behaves today; older ones may be from before it was mended."""


def check(settings: RequestTrackerSettings, client: Client, tickets: Tickets, changes: Changes) -> list[Notice]:
    """What works but deserves a look. Raises ConfigError, AuthError or Unavailable."""
    _reach(client)
    queue = tickets.look_at_queue(settings.queue, "queue")
    if not _linked(queue, "create"):
        raise ConfigError(f"grant the hub's user CreateTicket on queue {settings.queue}", path="queue")
    for name in settings.queues:
        tickets.look_at_queue(name, "queues")
    notices = _fields(settings, queue)
    newest = _newest(settings, client)
    notices += _rights(client, newest)
    notices += _voices(client, changes, newest)
    return notices + _gate(settings, client)


def _reach(client: Client) -> None:
    try:
        client.get("rt")
    except NotRequestTracker as error:
        raise ConfigError(str(error), path="url") from error
    except Rejected as error:
        raise ConfigError(f"no REST 2 of Request Tracker 5 at this url ({error})", path="url") from error


def _linked(record: dict[str, Any], what: str) -> bool:
    """RT links what the user has the right to do."""
    return any(link.get("ref") == what for link in record.get("_hyperlinks") or ())


def _fields(settings: RequestTrackerSettings, queue: dict[str, Any]) -> list[Notice]:
    there = [str(f["name"]) for f in queue.get("TicketCustomFields") or ()]
    require_case_field(settings.fields.case, settings.queue, there)
    return [
        Notice(
            f"queue {settings.queue} has no custom field {name!r} that the hub's user may see, and Request Tracker "
            f"drops what it does not know in silence{meant(name, there)}",
            f"fields.{key}",
        )
        for key, name in settings.fields.model_dump().items()
        if name and name not in there
    ]


def _newest(settings: RequestTrackerSettings, client: Client) -> list[int]:
    query: Parameters = {
        "query": f"Queue = {quoted(settings.queue)}",
        "orderby": "id",
        "order": "DESC",
        "per_page": _SAMPLE,
    }
    return [int(t["id"]) for t in client.get("tickets", query).get("items") or ()]


def _rights(client: Client, newest: list[int]) -> list[Notice]:
    if newest and not _linked(client.get(f"ticket/{newest[0]}"), "comment"):
        return [Notice("grant the hub's user CommentOnTicket: the suggested answers are written as comments", "token")]
    return []


def _voices(client: Client, changes: Changes, newest: list[int]) -> list[Notice]:
    said = (speaks(client, changes, ticket) for ticket in newest)
    return [Notice(sentence, "queue") for sentence in said if sentence][:1]


def _gate(settings: RequestTrackerSettings, client: Client) -> list[Notice]:
    """RT answers a request without a mail with "not ok", and files nothing."""
    if not settings.gate:
        return []
    try:
        answer = client.form(settings.gate, {"SessionType": "REST"})
        if answer.status_code == 200 and answer.text.strip().startswith(("not ok", "temporary failure")):
            return []
        said = f"answers {answer.status_code}"
    except TresseError as error:
        said = str(error)
    return [
        Notice(
            f"RT's mail gate at {settings.gate} {said}: customers' further words could not be filed under their "
            "names; give its address, allow this machine to reach it, or set mail_gate = false",
            "mail_gate",
        )
    ]

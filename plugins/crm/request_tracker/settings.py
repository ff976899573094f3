"""What a section with `use = "request_tracker"` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from hub.sdk import Duration, Secret, Settings

GATE = "/REST/1.0/NoAuth/mail-gateway"


class FieldNames(Settings):
    """Names of the ticket custom fields ("Enter one value") that hold what the hub knows. Empty: no such field."""

    case: str = Field(description="The case number. Obligatory: by it a ticket is found again.", min_length=1)
    order: str = Field("", description="The order numbers.")
    order_state: str = Field("", description="The state of the orders, and whether they are claimed or verified.")
    sender: str = Field("", description="Whether the sender is proven, or only claims to be who they say.")
    language: str = Field("", description="The customer's language, such as fr.")
    customer: str = Field("", description="The customer's name.")
    segment: str = Field("", description="The customer's segment, such as gold.")
    earlier_cases: str = Field("", description="How many cases the customer had before.")
    timeline: str = Field("", description="The link to the timeline in the hub.")
    answers: str = Field("", description='The best answers, kept up to date; a field for "one text area".')

    @field_validator("*")
    @classmethod
    def _can_be_searched(cls, value: str) -> str:
        # Inside 'CF.{name}' RT's query language offers no way to write a brace.
        if "{" in value or "}" in value:
            raise ValueError("a field with braces in its name cannot be searched; rename it in Request Tracker")
        return value.strip()


class RequestTrackerSettings(Settings):
    """A queue of a Request Tracker 5, reached through REST 2."""

    url: str = Field(
        description="Address of Request Tracker, such as https://rt.shop.example.", pattern=r"^https?://[^\s?#]+$"
    )
    token: Secret = Field(description="API token of the hub's own user in Request Tracker.")
    queue: str = Field(description="The queue where new tickets are created.", min_length=1)
    queues: tuple[str, ...] = Field(
        (), description="Other queues to which agents move tickets; replies there are read as well."
    )
    fields: FieldNames = Field(description="Names of the custom fields for what the hub knows.")
    language: Literal["fr", "en"] = Field("en", description="Language of comments and field texts.")
    interval: Duration = Field(30.0, description="How often agents' replies are read.", gt=0)
    mail_gate: bool | str = Field(
        True,
        description="File customers' further words under their names through RT's mail gate; its address "
        "where it is not the usual one; false writes them into internal comments.",
    )
    request_timeout: Duration = Field(
        20.0, description="How long one request may take; a write of RT easily takes seconds.", gt=0
    )
    settle: Duration = Field(
        10.0, description="How long an interrupted request may still be at work in RT before the hub looks."
    )

    @property
    def address(self) -> str:
        """The url without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def gate(self) -> str:
        """Address of the mail gate; empty where it is not to be used."""
        if isinstance(self.mail_gate, str):
            return self.mail_gate
        return self.address + GATE if self.mail_gate else ""

    @property
    def all_queues(self) -> tuple[str, ...]:
        """Every queue whose replies are read, the one for new tickets first."""
        return tuple(dict.fromkeys((self.queue, *self.queues)))

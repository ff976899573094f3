"""The CRM `people`: asked who a customer is. It knows nobody, and takes its time to say so."""

from __future__ import annotations

from pydantic import Field

from hub.sdk import CRM, Identity, Profile, Settings

from .far import post


class PeopleSettings(Settings):
    """Where it is."""

    url: str = Field(description="The far side's address.")


class People(CRM[PeopleSettings]):
    """KnowsCustomers."""

    name = "people"
    settings_model = PeopleSettings

    def check(self) -> None: ...

    def find_customers(self, identity: Identity) -> list[Profile]:
        address = f"{self.settings.url}/people/{self.context.id}/who"
        post(self.context, address, {"key": identity.value}, 0.0)
        return []

"""The CRM `register`: asked who a customer is, it knows nobody, after a while."""

from __future__ import annotations

from pydantic import Field

from hub.sdk import CRM, Identity, Profile, Settings

from .far import post


class RegisterSettings(Settings):
    """Where it is."""

    url: str = Field(description="The far side's address.")


class Register(CRM[RegisterSettings]):
    """KnowsCustomers."""

    name = "register"
    settings_model = RegisterSettings

    def check(self) -> None: ...

    def find_customers(self, identity: Identity) -> list[Profile]:
        post(self.context, f"{self.settings.url}/register/{self.context.id}/find", {"key": identity.value}, 0.0)
        return []

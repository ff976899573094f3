"""The desk `ledger`: cases, words and answers, each under its key, and searchable by key."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from hub.sdk import CRM, Case, Effect, Message, Settings, Suggestion

from .far import post


class LedgerSettings(Settings):
    """Where it is."""

    url: str = Field(description="The far side's address.")
    again: float = Field(0.1, description="Seconds after which it wants to be asked again; 0: it does not say.")


class Ledger(CRM[LedgerSettings]):
    """KeepsCases, AddsMessages, ShowsSuggestions, Finds."""

    name = "ledger"
    settings_model = LedgerSettings
    settle: ClassVar[float] = 2.0

    def check(self) -> None: ...

    def save_case(self, case: Case, effect: Effect) -> str:
        return self._say("save_case", case.number, effect)

    def add_message(self, case: Case, message: Message, effect: Effect) -> str:
        return self._say("add_message", case.number, effect)

    def show(self, case: Case, suggestions: list[Suggestion], effect: Effect) -> str:
        return self._say("show", case.number, effect)

    def find(self, ability: str, effect: Effect) -> str | None:
        found = self._post("find", {**_named(effect), "ability": ability})
        return found or None

    def _say(self, what: str, case: str, effect: Effect) -> str:
        return self._post(what, {**_named(effect), "case": case})

    def _post(self, what: str, said: dict[str, str]) -> str:
        address = f"{self.settings.url}/desk/{self.context.id}/{what}"
        return str(post(self.context, address, dict(said), self.settings.again)["id"] or "")


def _named(effect: Effect) -> dict[str, str]:
    return {"key": effect.key, "case": effect.known["number"], "mark": effect.cause.strip("<>").partition("@")[0]}

"""Promises of what writes: an effect happens once, however often it is asked for."""

from __future__ import annotations

from typing import Any

from hub.sdk import Effect, Identity
from hub.testing import values
from hub.testing.component import Contract, skip


def found_or_done(component: Any, ability: str, effect: Effect, again: Any) -> str:
    """What the hub does after a crash: look where it can look, else do it once more."""
    if callable(getattr(component, "find", None)) and hasattr(component, "settle"):
        found = component.find(ability, effect)
        if found is not None:
            return str(found)
    return str(again())


class SendsContract(Contract):
    """`send` twice with one effect sends once, unless it declares itself blind."""

    def sent(self) -> list[Any]:
        """What has arrived at the customer's side, for counting."""
        raise AssertionError("say what has arrived at the customer's side")

    def test_something_is_sent_and_named(self) -> None:
        assert self.make().send(values.outgoing(), values.effect())
        assert len(self.sent()) == 1

    def test_one_effect_is_sent_once(self) -> None:
        made, effect = self.make(), values.effect()
        first = made.send(values.outgoing(), effect)
        if made.blind and not hasattr(made, "settle"):
            skip("blind: the hub never repeats it by itself")
        fresh = self.make()
        again = found_or_done(fresh, "send", effect, lambda: fresh.send(values.outgoing(), effect))
        assert again == first
        assert len(self.sent()) == 1

    def test_another_effect_is_sent_as_well(self) -> None:
        made = self.make()
        made.send(values.outgoing(), values.effect("one"))
        made.send(values.outgoing(), values.effect("two"))
        assert len(self.sent()) == 2


class KeepsCasesContract(Contract):
    """`save_case` is an upsert: the same input leaves the same state."""

    def cases(self) -> list[Any]:
        """The cases of the far side, each with what the hub wrote there, comparable with ==."""
        raise AssertionError("say which cases the far side has")

    def test_saving_twice_changes_nothing(self) -> None:
        made, effect = self.make(), values.effect()
        first = made.save_case(values.case(), effect)
        before = self.cases()
        assert len(before) == 1
        known = values.effect(effect.key, case=first)
        assert made.save_case(values.case(), known) == first
        assert self.cases() == before

    def test_a_case_whose_answer_was_lost_is_found(self) -> None:
        effect = values.effect()
        first = self.make().save_case(values.case(), effect)
        fresh = self.make()
        again = found_or_done(fresh, "save_case", effect, lambda: fresh.save_case(values.case(), effect))
        assert again == first
        assert len(self.cases()) == 1

    def test_two_cases_stay_two(self) -> None:
        made = self.make()
        one = made.save_case(values.case(), values.effect("one"))
        two = made.save_case(values.case(number="TR-2026-000124"), values.effect("two"))
        assert one != two
        assert len(self.cases()) == 2


class AddsMessagesContract(Contract):
    """The customer's further words arrive once, on their case."""

    def messages(self, remote_case: str) -> list[Any]:
        """What stands on the far side's case beside what opened it."""
        raise AssertionError("say which messages stand on a case of the far side")

    def test_one_message_is_added_once(self) -> None:
        made = self.make()
        remote = made.save_case(values.case(), values.effect("opening"))
        before = len(self.messages(remote))
        effect = values.effect("further", "<second@customer.example>", case=remote)
        message = values.message(message_id="<second@customer.example>", reply="Merci !", text="Merci !")
        first = made.add_message(values.case(), message, effect)
        fresh = self.make()
        again = found_or_done(fresh, "add_message", effect, lambda: fresh.add_message(values.case(), message, effect))
        assert again == first
        assert len(self.messages(remote)) == before + 1


class ShowsSuggestionsContract(Contract):
    """Suggestions are updated where the desk can, else shown once per customer message."""

    def shown(self, remote_case: str) -> list[Any]:
        """The places on the case where suggestions stand (notes, a field's value)."""
        raise AssertionError("say where the suggestions stand")

    def open_case(self, component: Any) -> str:
        """The far side's id of a case to show something on."""
        return str(component.save_case(values.case(), values.effect("opening")))

    def test_showing_twice_shows_once(self) -> None:
        made = self.make()
        remote = self.open_case(made)
        effect = values.effect("showing", case=remote)
        made.show(values.case(), values.suggestions(), effect)
        before = self.shown(remote)
        assert before
        fresh = self.make()
        found_or_done(fresh, "show", effect, lambda: fresh.show(values.case(), values.suggestions(), effect))
        assert self.shown(remote) == before

    def test_no_suggestion_is_no_error(self) -> None:
        made = self.make()
        made.show(values.case(), [], values.effect("showing", case=self.open_case(made)))


class KnowsCustomersContract(Contract):
    """Profiles are listed, never joined; an unknown address is no error."""

    def known_customer(self) -> Identity:
        """An address the far side knows."""
        raise AssertionError("name an address the far side knows")

    def test_a_known_customer_is_found(self) -> None:
        profiles = self.make().find_customers(self.known_customer())
        assert profiles
        assert all(p.remote_id for p in profiles)
        assert len({p.remote_id for p in profiles}) == len(profiles)

    def test_an_unknown_customer_is_no_error(self) -> None:
        made = self.make()
        for value in ("nobody@nowhere.example", "", "' OR 1=1 --", "a@b", "\N{SNOWMAN}@example.org"):
            assert made.find_customers(Identity("email", value)) == []
        assert made.find_customers(Identity("phone", "+33199000000")) == []


class KnowsOrdersContract(Contract):
    """An order by its number, or None."""

    def known_order(self) -> str:
        """A number the far side knows."""
        raise AssertionError("name an order the far side knows")

    def test_a_known_order_is_found(self) -> None:
        found = self.make().find_order(self.known_order())
        assert found is not None
        assert found.number

    def test_an_unknown_order_is_none(self) -> None:
        made = self.make()
        for number in ("CMD-0000-0000", "", "' OR 1=1 --", "\N{SNOWMAN}"):
            assert made.find_order(number) is None

"""The customers' file in memory, found by their keys in one look into a dict.

An e-mail's canonical form is cheap and made while loading. A phone number's costs some 50 µs
(libphonenumber), five seconds for 100,000 rows; so numbers are filed under their last digits,
and only the few candidates of a look-up are compared in full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hub.rules.identities import canonical, clean_name
from hub.sdk import Identity, Profile

from .settings import CustomerColumns
from .table import Table

_LAST_DIGITS = 6
"""No longer than the shortest national numbers, so that the country code is never among them."""

_EXTENSION = re.compile(r"(?:ext|x|poste|#).*", re.IGNORECASE | re.DOTALL)


class Customers:
    """Customers by id, e-mail and phone. Rows that differ are different profiles, whatever they have in common."""

    def __init__(self, table: Table, columns: CustomerColumns, country: str, url: str = "") -> None:
        wanted = columns.model_dump()
        self.cells = table.cells(wanted, columns.model_fields_set)
        if not {"id", "email", "phone"} & self.cells.at.keys():
            table.cells(wanted, ["email"])  # says what is missing, and what is there
        self.name, self._country, self._url = table.name, country, url
        self._by_id: dict[str, list[int]] = {}
        self._by_email: dict[str, list[int]] = {}
        self._by_digits: dict[str, list[int]] = {}
        for row in range(len(table.rows)):
            self._file(row)

    def __len__(self) -> int:
        return len(self.cells.table.rows)

    def _file(self, row: int) -> None:
        if number := self.cells.get(row, "id"):
            self._by_id.setdefault(number, []).append(row)
        emails = self._emails(row)
        for email in emails:
            self._by_email.setdefault(email.value, []).append(row)
        if not emails and self.cells.get(row, "email"):
            self.cells.problem(row, "email", "not an e-mail address")
        for written in self._written_phones(row):
            if digits := _digits(written):
                self._by_digits.setdefault(digits, []).append(row)
            else:
                self.cells.problem(row, "phone", "not a phone number")

    def _written_phones(self, row: int) -> list[str]:
        return [part for part in re.split(r"[,;|]", self.cells.get(row, "phone")) if part.strip()]

    def _emails(self, row: int) -> list[Identity]:
        written = re.split(r"[\s,;|]+", self.cells.get(row, "email"))
        return list(dict.fromkeys(i for w in written if w and (i := canonical(Identity("email", w), self._country))))

    def _phones(self, row: int) -> list[Identity]:
        written = self._written_phones(row)
        return list(dict.fromkeys(i for w in written if (i := canonical(Identity("phone", w), self._country))))

    def by_email(self, email: str) -> list[Profile]:
        """Profiles with this canonical address."""
        return self._profiles(self._by_email.get(email, ()))

    def by_phone(self, phone: str) -> list[Profile]:
        """Profiles with this number in E.164."""
        rows = dict.fromkeys(self._by_digits.get(_digits(phone), ()))
        return self._profiles(row for row in rows if any(p.value == phone for p in self._phones(row)))

    def by_id(self, number: str) -> list[Profile]:
        """Profiles with this id in the file."""
        return self._profiles(self._by_id.get(number, ()))

    def _differing(self, rows: Iterable[int]) -> list[int]:
        """Rows without their exact repetitions, which exports are full of."""
        return list({tuple(self.cells.table.rows[row]): row for row in reversed(list(rows))}.values())[::-1]

    def _profiles(self, rows: Iterable[int]) -> list[Profile]:
        return [self._profile(row) for row in self._differing(rows)]

    def _remote_id(self, row: int) -> str:
        """What names this row in the hub: its id, else its first address; with its line where others have the same."""
        number, emails = self.cells.get(row, "id"), self._emails(row)
        if number:
            name, shared = number, self._by_id[number]
        elif emails:
            name, shared = emails[0].value, self._by_email[emails[0].value]
        else:
            name = self.cells.get(row, "phone")
            shared = self._by_digits.get(_digits(name), [])
        alone = len(self._differing(shared)) == 1
        return name[:150] if alone else f"{name[:150]} (line {self.cells.table.lines[row]})"

    def _profile(self, row: int) -> Profile:
        number = self.cells.get(row, "id")
        return Profile(
            remote_id=self._remote_id(row),
            name=clean_name(self.cells.get(row, "name")),
            segment=self.cells.get(row, "segment"),
            language=_language(self.cells.get(row, "language")),
            identities=(*self._emails(row), *self._phones(row)),
            facts=self.cells.facts(row),
            url=self._url.replace("{id}", number) if number else "",
        )

    def owners(self, number: str) -> tuple[Identity, ...]:
        """Whom an order with this customer's id belongs to; nobody where two rows share the id."""
        profiles = self.by_id(number)
        return profiles[0].identities if len(profiles) == 1 else ()

    def __contains__(self, number: str) -> bool:
        return number in self._by_id

    def doubles(self) -> list[str]:
        """Ids and addresses that stand in several rows, as sentences without their values."""
        found = []
        for column, index in (("id", self._by_id), ("email", self._by_email)):
            rows = [rows for rows in index.values() if len(rows) > 1 and len(self._differing(rows)) > 1]
            if rows:
                found.append(
                    f'{self.name}, column "{self.cells.title(column)}": {len(rows)} values stand in several rows '
                    f"(the first in lines {self.cells.lines(rows[0])}); all are listed, none joined"
                )
        return found


def _digits(phone: str) -> str:
    """The last digits of a number, or an empty string where there are too few of them."""
    digits = "".join(c for c in _EXTENSION.sub("", phone) if c.isdigit())
    return digits[-_LAST_DIGITS:] if len(digits) >= _LAST_DIGITS else ""


def _language(written: str) -> str:
    found = re.match(r"([a-z]{2})(?:[-_]|$)", written.lower())
    return found[1] if found else ""

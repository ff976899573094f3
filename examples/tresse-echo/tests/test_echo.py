"""The promises of the contract, inherited; below them what is special about letters."""

from __future__ import annotations

import os
from typing import Any

from tresse_echo.channel import EchoChannel

from hub.sdk import Raw, Rejected
from hub.testing import ComponentContract, PollsContract, ReadsContract, SendsContract, raises, values

LETTER = "alice@customer.example\nUne question\nOù est ma commande ?\n".encode()


class TestEcho(PollsContract, ReadsContract, SendsContract, ComponentContract):
    component = EchoChannel

    def begin(self) -> None:
        self.count = 0
        for name in ("in", "out"):
            (self.folder / name).mkdir()

    def settings(self) -> dict[str, Any]:
        return {"inbox": str(self.folder / "in"), "outbox": str(self.folder / "out")}

    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            file = self.folder / "in" / f"{self.count:04}.txt"
            file.write_bytes(LETTER)
            os.utime(file, (self.count, self.count))

    def raws(self) -> list[Raw]:
        return [Raw("1/0001.txt", LETTER, {"at": "2026-03-02T09:30:00+00:00"})]

    def sent(self) -> list[Any]:
        return list((self.folder / "out").iterdir())

    def test_the_first_lines_are_address_and_subject(self) -> None:
        (message,) = self.make().read(self.raws()[0])
        assert (message.sender.value, message.subject) == ("alice@customer.example", "Une question")
        assert message.reply == "Où est ma commande ?\n"

    def test_a_letter_without_an_address_is_set_aside(self) -> None:
        with raises(Rejected):
            self.make().read(Raw("1/x.txt", b"no address\nsubject\ntext", {"at": "2026-03-02T09:30:00+00:00"}))

    def test_what_is_sent_reads_like_a_letter(self) -> None:
        self.make().send(values.outgoing(), values.effect())
        (letter,) = self.sent()
        assert letter.read_text("utf-8").startswith("alice@customer.example\n[TR-2026-000123]")

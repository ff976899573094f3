"""A channel whose mails say what happens to whoever reads them."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from hub.log import logger
from hub.reading import Limits
from hub.reading.children import Children
from hub.sdk import Channel, Context, Direction, Event, Identity, Message, Raw, Rejected, Secret, Settings

WHO = Identity("email", "alice@customer.example", "Alice")


def said(text: str, **more: Any) -> Message:
    at = datetime(2026, 11, 23, 9, 0, 1, 500, tzinfo=UTC)
    return Message(Direction.IN, WHO, WHO, at, text=text, reply=text, content_key=text, **more)


class Login(Settings):
    """Somewhere deeper."""

    token: Secret = Field(Secret(""), description="A secret in a table.")


class HostileSettings(Settings):
    """What the hostile channel wants to know."""

    password: Secret = Field(Secret(""), description="A secret.")
    login: Login = Field(Login(), description="A table.")
    many: dict[str, tuple[Secret, ...]] = Field({}, description="Secrets, deeper still.")
    word: str = Field("", description="No secret.")
    builds: bool = Field(True, description="Whether its constructor is content without the world.")


class Hostile(Channel[HostileSettings]):
    """Its raws are ``{"do": NAME, "with": ARGUMENT}``."""

    name = "hostile"
    settings_model = HostileSettings

    def __init__(self, settings: HostileSettings, context: Context) -> None:
        super().__init__(settings, context)
        if settings.word:
            context.log.info("put together")
        if not settings.builds:
            context.state.get("cursor")

    def check(self) -> None: ...

    def read(self, raw: Raw) -> list[Message | Event]:
        order = json.loads(raw.data)
        return getattr(self, f"do_{order['do']}")(order.get("with"))

    def do_say(self, text: str) -> Any:
        return [said(text)]

    def do_hang(self, _: Any) -> Any:
        time.sleep(1000)

    def do_burn(self, _: Any) -> Any:
        while True:
            pass

    def do_allocate(self, _: Any) -> Any:
        hold = []
        while True:
            hold.append(bytearray(10_000_000))

    def do_crash(self, _: Any) -> Any:
        ctypes.string_at(0)

    def do_leave(self, code: int) -> Any:
        os._exit(code)

    def do_exit(self, code: int) -> Any:
        sys.exit(code)

    def do_kill(self, number: int) -> Any:
        os.kill(os.getpid(), number)
        time.sleep(1)

    def do_once(self, _: Any) -> Any:
        """Whoever reads is killed from outside, the first time."""
        os.kill(os.getpid(), signal.SIGKILL)

    def do_print(self, text: str) -> Any:
        sys.stdout.write(text)
        sys.stdout.flush()
        os.write(1, text.encode())
        os.write(2, text.encode())
        return [said("printed")]

    def do_log(self, lines: list[Any]) -> Any:
        for level, event, facts in lines:
            getattr(self.context.log, level)(event, **facts)
        return [said("logged")]

    def do_log_and_crash(self, event: str) -> Any:
        self.context.log.warning(event)
        ctypes.string_at(0)

    def do_close(self, _: Any) -> Any:
        os.closerange(0, 64)
        time.sleep(1000)

    def do_raise(self, text: str) -> Any:
        raise ValueError(text)

    def do_reject(self, text: str) -> Any:
        raise Rejected(text)

    def do_lazily(self, _: Any) -> Any:
        yield said("one")
        raise ValueError("words of a customer")

    def do_junk(self, _: Any) -> Any:
        return [said("fine"), self]

    def do_wrong(self, _: Any) -> Any:
        return [said("fine", account=7)]

    def do_gigantic(self, size: int) -> Any:
        return [said("x" * size)]

    def do_write(self, path: str) -> Any:
        Path(path).write_text("written", "utf-8")
        return [said("written")]

    def do_look(self, path: str) -> Any:
        return [said(Path(path).read_bytes().decode("utf-8", "replace"))]

    def do_connect(self, address: list[Any]) -> Any:
        socket.create_connection((address[0], address[1]), timeout=2)
        return [said("connected")]

    def do_send(self, address: list[Any]) -> Any:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"secret", (address[0], address[1]))
        return [said("sent")]

    def do_fork(self, _: Any) -> Any:
        if os.fork() == 0:
            time.sleep(1000)
        return [said("forked")]

    def do_strike(self, pid: int) -> Any:
        os.kill(pid, signal.SIGKILL)
        return [said("killed")]

    def do_import(self, module: str) -> Any:
        __import__(module)
        return [said("imported")]

    def do_tell(self, _: Any) -> Any:
        """Everything it can get hold of."""
        known = [self.settings.model_dump(), vars(self.settings), dict(os.environ), sys.argv, sys.path]
        secrets = [self.settings.password, self.settings.login.token, *self.settings.many.get("a", ())]
        return [said(repr(known) + repr([s.get_secret_value() for s in secrets]) + self.settings.word)]

    def do_state(self, _: Any) -> Any:
        return [said(str(self.context.state.get("key")))]

    def do_http(self, _: Any) -> Any:
        return [said(self.context.http.get("http://127.0.0.1/").text)]

    def do_forge(self, answer: str) -> Any:
        """Taken over: it answers by itself."""
        payload = answer.encode()
        socket.socket(fileno=3).sendall(len(payload).to_bytes(4, "big") + payload)
        time.sleep(1000)

    def do_forge_many(self, frame: str) -> Any:
        """Taken over: it says the same thing for ever."""
        wire, payload = socket.socket(fileno=3), frame.encode()
        while True:
            wire.sendall(len(payload).to_bytes(4, "big") + payload)


def order(do: str, argument: Any = None, key: str = "k") -> Raw:
    """A mail that does something."""
    return Raw(key, json.dumps({"do": do, "with": argument}).encode())


# -- for the tests of reading ------------------------------------------------------------------

LIMITS = Limits(wall=3.0, cpu=1, memory=200)
FINE = (said("fine"),)


def context(name: str = "hostile", log: Any = None) -> Context:
    nothing: Any = type("Nothing", (), {"get": lambda self, key: None})()
    return Context(
        name, log or logger(), nothing, nothing, threading.Event(), lambda: datetime.now(UTC), random.Random(1)
    )


def made(settings: HostileSettings | None = None, name: str = "hostile", log: Any = None) -> Hostile:
    return Hostile(settings or HostileSettings(), context(name, log))


def read(children: Children, *raws: Raw, component: Hostile | None = None) -> list[Any]:
    """What is told of each raw."""
    told: dict[int, Any] = {}
    children.read(component or made(), raws, told.__setitem__)
    assert list(told) == list(range(len(raws))), "each is told once, in order"
    return list(told.values())

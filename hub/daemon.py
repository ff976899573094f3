"""`tresse run`, `worker` and `web`: start in order, stop in reverse, listen to signals."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
from types import FrameType

import waitress
from flask import Flask
from waitress import wasyncore

from hub import log
from hub.app import Hub, open_hub, open_store
from hub.config import Config, load
from hub.engine.vigil import Illness
from hub.log import logger
from hub.sdk import ConfigError
from hub.web import create_app

CARE = 2.0
"""Seconds between two questions whether the engine is at work."""
ENDING = 15.0
"""Seconds that a process whose engine is ill may take to end."""


class Web:
    """The pages and the intake on waitress, in threads of this process."""

    def __init__(self, hub: Hub, listen: socket.socket) -> None:
        self._server = waitress.create_server(
            create_app(hub),
            sockets=[listen],
            threads=hub.config.web.threads,
            ident="Tresse",
            channel_timeout=60,
            # The app judges forwarded requests itself (web.proxies); a request that came through a
            # proxy must not look like a local one, which it would without these headers.
            clear_untrusted_proxy_headers=False,
        )
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Serve until stopped."""
        self._thread.start()

    def stop(self) -> None:
        """Take no new requests, and let those at work end (3 s)."""
        # Sockets are closed in the thread that waits for them; closed from here, it would stumble over them.
        in_its_thread = self._server.trigger.pull_trigger
        in_its_thread(lambda: wasyncore.dispatcher.close(self._server))
        self._server.task_dispatcher.shutdown(timeout=3)
        with contextlib.suppress(OSError):  # heard already, and the pipe that tells it closed
            in_its_thread(lambda: wasyncore.close_all(self._server._map, ignore_all=True))  # noqa: SLF001  # has no other name
        self._thread.join(1)


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError with what to do when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
    except OSError as error:
        server.close()
        raise ConfigError(
            f"web.listen: cannot listen on {host}:{port} ({error.strerror}); choose another port, or stop what is there"
        ) from error
    return server


def run(config: Config, *, pages: bool = True) -> None:
    """Run until SIGTERM or SIGINT; without `pages`, the engine alone. Raises ConfigError when the hub cannot start.

    An engine alone that has been ill for half a minute ends its process with exit code 1.
    """
    log.configure(config.log.level, config.log.format)
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    hub = open_hub(config)  # first: a second hub is told of the first one, not of its port
    try:
        web = Web(hub, listen_on(config.web.host, config.web.port)) if pages else None
    except BaseException:
        hub.stop()
        raise
    hub.start()
    if web is not None:
        web.start()
    told = {"address": config.hub.address} if pages else {}
    logger().info("started", engine=config.engine.kind, instances=len(hub.instances), broken=len(hub.broken), **told)
    well = _until(ended, hub, serving=pages)
    logger().info("stopping")
    if not well:
        last = threading.Timer(ENDING, os._exit, (1,))  # what is ill may hang while it ends
        last.daemon = True
        last.start()
    if web is not None:
        web.stop()
    hub.stop()
    logger().info("stopped")
    if not well:
        sys.exit(1)


def _until(ended: threading.Event, hub: Hub, *, serving: bool) -> bool:
    """Wait until `ended`; False where the engine is ill for good and nobody else can see it.

    A hub with pages goes on: its /readyz says what is wrong, and what is pushed is still kept.
    """
    if serving or hub.engine is None:
        return ended.wait()
    illness = Illness(hub.engine, hub.parts)
    while not ended.wait(CARE):
        if illness.lasts():
            logger().error("the engine has stopped working; this process ends, to be started again")
            return False
    return True


def serve(config: Config, workers: int) -> None:
    """Pages and intake in `workers` processes (granian), without an engine. Raises ConfigError."""
    listen_on(config.web.host, config.web.port).close()  # a taken port is told in our sentence
    log.configure(config.log.level, config.log.format)
    open_store(config).close()  # one process makes the tables, before several look for them
    # Its workers import the app anew; the environment is the only way to tell them where the configuration is.
    os.environ["TRESSE_CONFIG"] = str(config.path)
    serve_in_processes("hub.daemon:app", config.web.host, config.web.port, config.web.threads, workers)


def serve_in_processes(factory: str, host: str, port: int, threads: int, workers: int) -> None:
    """Serve what `factory` ("module:function") makes: `workers` processes with `threads` each. Raises ConfigError."""
    try:
        from granian.constants import Interfaces  # comes with an extra
        from granian.server import Server
    except ModuleNotFoundError as error:
        raise ConfigError('"tresse web" needs granian: pip install "tresse[postgres]"') from error
    Server(
        factory,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        backlog=1024,
        workers_kill_timeout=5,
        respawn_failed_workers=True,
        log_enabled=False,
    ).serve()


def app() -> Flask:
    """What each process of `serve` serves."""
    config = load(os.environ["TRESSE_CONFIG"])
    log.configure(config.log.level, config.log.format)
    hub = open_hub(config, engine=False)
    atexit.register(hub.stop)
    hub.start()
    return create_app(hub)

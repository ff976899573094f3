"""The contact form in a real browser, without JavaScript: sent from a phone's width, in the dark as well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request as Asked
from werkzeug.wrappers import Response

from hub.sdk import Message, Raw, Request, Upload
from plugins.channels.form.channel import FormChannel
from plugins.channels.form.settings import FormSettings
from tests.plugins.lent import lend

pytestmark = pytest.mark.browser


class Served:
    """The form on a port of its own, and the raws it took."""

    def __init__(self) -> None:
        self.raws: list[Raw] = []
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}/in/contact"
        context = lend(address=self.address, now=lambda: datetime.now(UTC))
        self.form = FormChannel(FormSettings(minimum_fill=0.2), context)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @Asked.application
    def _answer(self, asked: Asked) -> Response:
        body = asked.get_data(cache=True, parse_form_data=False)
        files = (Upload(f.filename or "", f.mimetype, f.stream.read()) for f in asked.files.getlist("files"))
        headers = {name.lower(): value for name, value in asked.headers.items()}
        query, form = asked.args.to_dict(), asked.form.to_dict()
        accepted = self.form.accept(Request(asked.method, "", headers, query, body, "127.0.0.1", form, tuple(files)))
        self.raws += accepted.raws
        reply = accepted.reply
        return Response(reply.body, reply.status, dict(reply.headers), content_type=reply.content_type)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_customer_writes_errs_and_mends(served: Served, browser: Any, width: int, scheme: str) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale="fr-FR", java_script_enabled=False
    )
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    page.goto(served.address)
    assert page.locator("#homepage").bounding_box()["x"] < 0  # people do not see the trap
    assert page.locator("main").bounding_box()["width"] <= width
    page.get_by_label("Votre nom").fill("Alice")
    page.get_by_label("Votre adresse e-mail").fill("alice@localhost")
    page.get_by_label("Sujet").fill("Retour")
    page.get_by_label("Votre message").fill("Bonjour,\n\noù est ma commande ?")
    page.get_by_label("Fichiers").set_input_files({"name": "f.pdf", "mimeType": "x/y", "buffer": b"%PDF-1.7"})
    page.get_by_role("button", name="Envoyer").click()
    assert "incomplète" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Votre message").input_value() == "Bonjour,\n\noù est ma commande ?"
    assert served.raws == []
    page.get_by_label("Votre adresse e-mail").fill("alice@customer.example")
    page.get_by_role("button", name="Envoyer").click()
    page.wait_for_url("**/in/contact?sent=1&lang=fr")
    assert "bien arrivé" in page.get_by_role("status").inner_text()
    assert not [line for line in said if "Content Security Policy" in line]
    page.close()
    (raw,) = served.raws
    (found,) = served.form.read(raw)
    assert isinstance(found, Message)
    assert (found.text, found.sender.value) == ("Bonjour,\n\noù est ma commande ?", "alice@customer.example")

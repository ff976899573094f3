"""Every page in a real browser: no error in the console, nothing wider than the screen, keys and forms that work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Site, come_in
from tests.browser.seed import PASSWORD

pytestmark = [
    pytest.mark.browser,
    # Playwright's own sockets and loops are closed with the interpreter.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

PAGES = (
    "/overview",
    "/customers",
    "/customers?all=1",
    "/customers?search=zzz",
    "/customers/1",
    "/orders/CMD-2026-0042",
    "/cases/TR-2026-000123",
    "/cases/TR-2026-000129",
    "/deliveries",
    "/deliveries?state=rejected",
    "/deliveries?state=unsure",
    "/kept",
    "/kept/1",
    "/plugins",
    "/answers",
    "/answers/1",
    "/answers/new",
)
WIDTHS = {"wide": (1280, 860), "phone": (390, 844)}


@pytest.fixture(params=WIDTHS, scope="module")
def page(request: pytest.FixtureRequest, browser: Any, site: Site) -> Iterator[Any]:
    width, height = WIDTHS[request.param]
    scheme = "dark" if request.param == "phone" else "light"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale="fr-FR", timezone_id="Europe/Paris"
    )
    page = context.new_page()
    page.troubles = []
    page.on("console", lambda m: page.troubles.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: page.troubles.append(str(e)))
    come_in(page, site)
    yield page
    context.close()


@pytest.fixture
def stranger(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="fr-FR")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_whole_and_fit_the_screen(page: Any, site: Site, address: str) -> None:
    page.troubles.clear()
    assert page.goto(site.address + address).status == 200
    page.wait_for_load_state("networkidle")
    for part in page.locator("details").all():
        part.evaluate("part => { part.open = true }")
    wide, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= screen
    assert page.troubles == []
    assert page.locator("h1").count() == 1 or page.locator(".empty").count()


def test_long_names_and_open_questions_fit_a_list(page: Any, site: Site) -> None:
    from hub.store.cases import delivery
    from tests.unit.braid import Braid

    name, reason = "service-clients-marketplace-espagne", "refused: 'Customer-Priority' is no custom field of Support"
    with site.hub.store.write() as connection:
        rows = Braid(connection, site.hub.clock.now())
        for state in ("rejected", "unsure"):
            rows.delivery(name, "add_message", state, reason=reason, attempts=3)
    try:
        for state in ("", "rejected", "unsure"):
            page.goto(f"{site.address}/deliveries?state={state}")
            for part in page.locator("#rows details").all():
                part.evaluate("part => { part.open = true }")
                wide, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
                assert wide <= screen
                assert part.locator("button").bounding_box()["height"] < 50, "its words stand on one line"
                part.evaluate("part => { part.open = false }")
    finally:
        with site.hub.store.write() as connection:
            connection.execute(delivery.delete().where(delivery.c.instance == name))


def test_everything_that_can_be_pressed_has_a_name(page: Any, site: Site) -> None:
    for address in PAGES:
        page.goto(site.address + address)
        nameless = page.evaluate(
            """[...document.querySelectorAll('a, button, summary, input:not([type=hidden]), select, textarea')]
            .filter(e => !(e.innerText || e.textContent || e.title || e.ariaLabel || e.labels?.length)?.toString().trim())
            .map(e => e.outerHTML.slice(0, 100))"""
        )
        assert nameless == [], address


def test_the_first_tab_skips_to_the_content(page: Any, site: Site) -> None:
    page.goto(f"{site.address}/overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_search_box_leads_to_the_timeline(page: Any, site: Site) -> None:
    page.goto(f"{site.address}/overview")
    page.fill("#key", "01 99 00 12 34")
    page.press("#key", "Enter")
    page.wait_for_url("**/customers/1")
    assert page.locator("h1").inner_text() == "Alice Martin"
    assert page.locator(".braid .entry").count() > 6


def test_older_entries_come_by_themselves_and_each_once(page: Any, site: Site) -> None:
    from tests.unit.braid import Braid

    with site.hub.store.write() as connection:
        rows = Braid(connection, site.hub.clock.now())
        (who,) = rows.customer("Long", ("email", f"long{rows.raw()}@customer.example"))
        for n in range(120):
            rows.message(who, str(n), rows.ago(n))
    page.goto(f"{site.address}/search?key=Long")
    page.locator(".people a").first.click()
    page.wait_for_selector(".braid .entry")
    for expected in (100, 120):
        page.locator(".older a").click()
        page.locator(".braid .entry").nth(expected - 1).wait_for()
    ids = page.evaluate("[...document.querySelectorAll('.braid .entry')].map(e => e.id)")
    assert len(set(ids)) == 120
    assert page.locator(".older").count() == 0


def test_the_why_of_a_message_is_told(page: Any, site: Site) -> None:
    page.goto(f"{site.address}/cases/TR-2026-000129")
    why = page.locator(".why").first
    why.locator("summary").click()
    told = why.inner_text()
    assert "un formulaire ouvert ne prouve rien" in told
    assert "pas de réponse en 30 s" in told


def test_html_mail_stands_in_a_frame_that_does_nothing(page: Any, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.goto(f"{site.address}/customers/1")
    page.locator("details.html summary").click()
    frame = page.frame_locator("details.html iframe")
    assert "ma commande" in frame.locator("body").inner_text()
    assert frame.locator("script, img").count() == 0
    assert all(url.startswith(site.address) for url in asked)


def test_the_language_changes_and_stays(page: Any, site: Site) -> None:
    page.goto(f"{site.address}/customers")
    page.locator("button[name=language][value=en]").click()
    page.wait_for_selector("html[lang=en]")
    assert page.locator("h1").inner_text() == "Customers"
    page.goto(f"{site.address}/deliveries")
    assert page.locator("h1").inner_text() == "Deliveries"
    page.locator("button[name=language][value=fr]").click()
    page.wait_for_selector("html[lang=fr]")


def test_a_decision_says_what_will_happen_before_it_happens(page: Any, site: Site) -> None:
    from tests.unit.braid import Braid

    with site.hub.store.write() as connection:
        number = Braid(connection, site.hub.clock.now()).delivery("rt", "show", "held", reason="waits for the case")
    page.goto(f"{site.address}/deliveries?state=held")
    row = page.locator(f"#d{number}")
    row.locator(".confirm summary").click()
    assert "rt recevra cet envoi une nouvelle fois" in row.inner_text()
    row.locator("button.primary").click()
    page.wait_for_selector(".flash.good")
    assert page.locator(f"#d{number}").count() == 0  # it waits now, and this list shows what is held


def test_times_are_the_readers(browser: Any, site: Site) -> None:
    seen = []
    for zone in ("Europe/Paris", "Asia/Tokyo"):
        context = browser.new_context(timezone_id=zone, locale="fr-FR")
        page = context.new_page()
        come_in(page, site)
        page.goto(f"{site.address}/cases/TR-2026-000129")
        seen.append(page.locator(".entry header time").first.inner_text())
        context.close()
    paris, tokyo = (int(clock[:2]) for clock in seen)
    assert (tokyo - paris) % 24 in (7, 8)


def test_strangers_meet_the_door_and_are_brought_back(stranger: Any, site: Site) -> None:
    stranger.goto(f"{site.address}/cases/TR-2026-000123")
    assert "/login?next=" in stranger.url
    stranger.fill("input[name=name]", "camille")
    stranger.fill("input[name=password]", "wrong password")
    stranger.click("button.primary")
    assert "inconnu" in stranger.locator(".flash.bad").inner_text()
    stranger.fill("input[name=password]", PASSWORD)
    stranger.click("button.primary")
    stranger.wait_for_url("**/cases/TR-2026-000123")


def test_too_many_attempts_are_told_to_wait(stranger: Any, site: Site) -> None:
    stranger.goto(f"{site.address}/login")
    for _ in range(6):
        stranger.fill("input[name=name]", "somebody")
        stranger.fill("input[name=password]", "guess")
        stranger.click("button.primary")
        stranger.wait_for_selector(".flash.bad")
    assert "quart d’heure" in stranger.locator(".flash.bad").inner_text()


def test_a_form_without_its_token_is_refused(stranger: Any, site: Site) -> None:
    stranger.goto(f"{site.address}/login")
    stranger.evaluate("document.querySelectorAll('input[name=csrf_token]').forEach(i => i.value = 'forged')")
    stranger.fill("input[name=name]", "camille")
    stranger.fill("input[name=password]", PASSWORD)
    stranger.click("button.primary")
    assert re.search("trop ancienne", stranger.locator("main").inner_text())


def test_pages_work_without_scripts(browser: Any, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    come_in(page, site)
    page.goto(f"{site.address}/customers/1")
    page.locator(".why summary").first.click()
    assert page.locator(".why dl").first.is_visible()
    context.close()

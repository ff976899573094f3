"""What a page costs does not grow with what a customer wrote."""

from __future__ import annotations

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.unit.braid import Braid
from tests.unit.small_hub import SmallHub


def test_a_timeline_costs_no_more_the_longer_it_is(hub: SmallHub, inside: FlaskClient) -> None:
    """Neither questions to the database nor bytes to the browser; how long it takes is in `bench.timeline`."""
    costs = [_costs(hub, inside, messages) for messages in (100, 1000)]
    (asked, size), (asked_of_more, size_of_more) = costs
    assert asked_of_more == asked <= 30
    assert abs(size_of_more - size) < size / 10


def _costs(hub: SmallHub, client: FlaskClient, messages: int) -> tuple[int, int]:
    """How many statements, and bytes, a customer's page takes who has so many messages."""
    address, asked = f"n{messages}@customer.example", list[str]()
    with hub.store.write() as connection:
        rows = Braid(connection)
        (who,) = rows.customer("Much", ("email", address))
        number = rows.case(f"TR-2026-{messages:06}", who)
        for n in range(messages):
            rows.message(who, "Bonjour, où est mon colis ? " * 8, rows.ago(n * 37), case_id=number, subject="Colis")
        owner = connection.scalar(sa.text("select customer_id from identity where id=:i"), {"i": who})

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    client.get(f"/customers/{owner}")  # what is looked up once is looked up now
    sa.event.listen(hub.store._engine, "before_cursor_execute", note)
    try:
        answer = client.get(f"/customers/{owner}")
    finally:
        sa.event.remove(hub.store._engine, "before_cursor_execute", note)
    assert answer.status_code == 200
    return len(asked), len(answer.data)

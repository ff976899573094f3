"""Calls on a timeline, at every stage: most of a call's facts are not there while it rings."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from hub.store.customers import identity
from tests.unit.braid import Braid
from tests.unit.small_hub import SmallHub


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({}, ""),
        ({"stage": "ringing", "from": "+33612345678"}, ""),
        ({"duration": 252}, "4:12"),
        ({"seconds": 61}, "1:01"),
        ({"duration": None}, ""),
        ({"duration": "soon"}, ""),
    ],
)
def test_a_call_is_shown_at_every_stage(hub: SmallHub, inside: FlaskClient, data: dict[str, Any], shown: str) -> None:
    with hub.store.write() as connection:
        rows = Braid(connection)
        (who,) = rows.customer("Paul", ("phone", "+33600000001"))
        rows.event(who, "call", rows.now, data=data)
        owner = connection.scalar(sa.select(identity.c.customer_id).where(identity.c.id == who))
        connection.execute(sa.update(identity).where(identity.c.id == who).values(value=f"+336{who:08}"))
    page = inside.get(f"/customers/{owner}")
    assert page.status_code == 200
    assert shown in page.text

"""The component under test, before a real Request Tracker."""

from __future__ import annotations

import pytest

from plugins.crm.request_tracker.crm import RequestTracker as Desk
from tests.plugins.request_tracker.world import make
from tests.servers.dovecot import Dovecot
from tests.servers.rt import RequestTracker


@pytest.fixture
def desk(request_tracker: RequestTracker) -> Desk:
    return make(request_tracker)


@pytest.fixture
def alice(dovecot: Dovecot) -> str:
    """A customer's address with a mailbox of its own."""
    return dovecot.new_mailbox("customer.example")

"""What is installed, what it offers, and how it is configured: read from the plugins' own models."""

from __future__ import annotations

from flask import render_template

from hub.store.overview import health_rows
from hub.web import here, login
from hub.web.instances import instance_views, plugin_views

blueprint = login.pages("plugins", __name__)


@blueprint.get("/plugins")
def every() -> str:
    """One page: a plugin, its components, their settings."""
    with here.reading() as connection:
        instances = {i.id: i for i in instance_views(here.hub(), health_rows(connection), {})}
    return render_template("plugins.html", plugins=plugin_views(here.hub()), instances=instances)

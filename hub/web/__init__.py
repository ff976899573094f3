"""What the hub shows and takes over HTTP: webhooks in, API, health, admin pages. One blueprint per file."""

from hub.web.factory import create_app

__all__ = ["create_app"]

"""All tables, imported together so that the metadata is whole."""

from hub.store import answers, cases, customers, health, intake, lanes, people
from hub.store.base import metadata

__all__ = ["answers", "cases", "customers", "health", "intake", "lanes", "metadata", "people"]

"""Tresse: every customer's words, from every channel, braided into one timeline."""

__version__ = "0.1.0"

"""`tresse demo`: an invented shop to look at the hub with. Everything it shows went through the real hub."""

from hub.demo.run import run_demo

__all__ = ["run_demo"]

"""Lanmu 栏目: a content and scheduling server for private-domain operations that grows by plugins."""

from lanmu.authoring import BaseChannel, Plugin
from lanmu.hookspecs import hookimpl

__all__ = ["BaseChannel", "Plugin", "__version__", "hookimpl"]

__version__ = "0.1.0"

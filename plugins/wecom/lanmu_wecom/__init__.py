"""Lanmu's channels to WeCom (企业微信), and a sandbox that answers as WeCom would."""

from lanmu_wecom.plugin import WecomPlugin

__all__ = ["WecomPlugin"]

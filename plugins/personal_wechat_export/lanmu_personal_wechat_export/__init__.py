"""Packs for personal WeChat: a person copies, sends and ticks off, since no program may do it for them."""

from lanmu_personal_wechat_export.plugin import PersonalWechatExportPlugin

__all__ = ["PersonalWechatExportPlugin"]

"""Scripts polished and varied with every fact locked, by a model or by rules, and checked for risky words."""

from lanmu_llm_copy.plugin import LlmCopyPlugin

__all__ = ["LlmCopyPlugin"]

"""aioctl: an asyncio controller for KServe's LLMInferenceService. Importing this package loads nothing heavy.

Its packages import one way (ARCH-1; docs/architecture.md has the table).
"""

__all__ = ["__version__"]

__version__ = "0.1.0"

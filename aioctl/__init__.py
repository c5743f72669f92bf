"""aioctl: an asyncio controller for KServe's LLMInferenceService. Importing this package loads nothing heavy."""

__all__ = ["__version__"]

__version__ = "0.1.0"

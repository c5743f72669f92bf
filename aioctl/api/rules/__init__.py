"""What an LLMInferenceService must keep (ADM-3), one module for each part of it.

Each function yields the problems of one service in v1alpha2, in KServe's order; texts are KServe's, for scripts and people
know them. Values of a wrong type raise FieldError. `aioctl.api.validation` says in which order the families come.
"""

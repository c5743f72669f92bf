"""The presets of known releases, by digest: see `presets.digest`. A preset that is in none of them was changed by somebody.

A release that ships other presets gets rows here; its files are compared in a test.
"""

from collections.abc import Mapping
from typing import Final

KSERVE: Final = "KServe after 0.20.0 (aaac4e294)"
OPENDATAHUB: Final = "opendatahub-io/kserve before 0.20 (c6e240af7)"
_OF_KSERVE: Final = (
    "ae28cc24369ac7ab",  # decode-template
    "d4091d41b5d7f26d",  # decode-worker-data-parallel
    "948c7969ffb68eea",  # prefill-template
    "bbb0938f5e5b7e69",  # prefill-worker-data-parallel
    "4d77eee4adbae2b2",  # router-route
    "75690d35b2be4202",  # scheduler-latency-predictor
    "760ec6837bcce670",  # scheduler
    "2407fc24d7c215f2",  # template
    "7f8efc7ce676d6a5",  # tokenizer
    "0d1357d25a62932d",  # tracing
    "10200c4ac60d1363",  # worker-data-parallel
)
_OF_OPENDATAHUB: Final = (
    "a163c9f92996b8fd",  # decode-template
    "ba0e0d918f94fd93",  # decode-worker-data-parallel
    "4f8a7e2c0fe441c9",  # prefill-template
    "a91bbe028a19cb87",  # prefill-worker-data-parallel
    "26c0ee717fb149ab",  # router-route
    "02033fbf661a4083",  # scheduler
    "d4cfb307c8c6914c",  # template
    "476672a2c41cf300",  # worker-data-parallel
)
RELEASES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_OF_OPENDATAHUB, OPENDATAHUB),
    **dict.fromkeys(_OF_KSERVE, KSERVE),
}
"""Digest of a preset's spec -> the release that ships it."""

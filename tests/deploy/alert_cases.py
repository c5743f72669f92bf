"""For every alert: series with which it fires within an hour, and series, as near as possible, with which it does not.

Values are in promtool's notation for one sample a minute: `a+bxn` is n more samples, each b above the last.
"""

from typing import Final

_BUILD = 'aioctl_build_info{namespace="kserve", pod="a", version="0.1.0", job="aioctl"}'
_LEADER = 'leader_election_master_status{namespace="kserve", pod="%s", job="%s"}'
_ON = "1x90"
_OFF = "0x90"


def _labels(name: str, labels: str = "") -> str:
    return f'{name}{{namespace="kserve", pod="a", job="aioctl"{", " + labels if labels else ""}}}'


def _rising(name: str, labels: str, by: float) -> dict[str, str]:
    return {_labels(name, labels): f"0+{by}x90"}


def _histogram(name: str, labels: str, slow: int, bound: str, below: str) -> dict[str, str]:
    """100 observations a minute, `slow` of which are above `bound` and within 10 s, the rest below `below`."""
    start = f"{labels}, " if labels else ""
    counts = {below: 100 - slow, bound: 100 - slow, "10.0": 100, "+Inf": 100}
    return {
        _labels(f"{name}_bucket", f'{start}le="{le}"'): f"0+{count}x90"
        for le, count in sorted(counts.items())
    }


def _conversions(slow: int) -> dict[str, str]:
    labels = 'direction="up", result="success"'
    return _histogram("aioctl_conversion_duration_seconds", labels, slow, "0.5", "0.05")


def _reconciles(errors: int) -> dict[str, str]:
    return {
        **_rising("controller_runtime_reconcile_errors_total", 'controller="llminferenceservice"', errors),
        **_rising("controller_runtime_reconcile_total", 'controller="llminferenceservice", result="error"', errors),
        **_rising("controller_runtime_reconcile_total", 'controller="llminferenceservice", result="success"', 90),
    }  # fmt: skip


_QUEUE = _labels("workqueue_depth", 'name="llminferenceservice"')
_EXPIRY = _labels("aioctl_certificate_expiry_timestamp_seconds")
_WAITING = _labels("aioctl_migration_oldest_waiting_seconds")
_DAY = 24 * 3600

CASES: Final[dict[str, tuple[dict[str, str], dict[str, str]]]] = {
    "AioctlNoLeader": (
        # Another controller's leader is none of ours.
        {_BUILD: _ON, _LEADER % ("a", "aioctl"): _OFF, _LEADER % ("b", "kserve"): _ON},
        {_BUILD: _ON, _LEADER % ("a", "aioctl"): _OFF, _LEADER % ("b", "aioctl"): _ON},
    ),
    "AioctlWebhookUnreachable": ({_BUILD: "1x10"}, {_BUILD: _ON}),
    "AioctlHandshakesFail": (
        _rising("aioctl_webhook_connections_failed_total", 'cause="handshake"', 12),
        {
            **_rising("aioctl_webhook_connections_failed_total", 'cause="handshake"', 1),
            **_rising("aioctl_webhook_connections_failed_total", 'cause="idle"', 12),
        },
    ),
    "AioctlWebhookErrors": (
        _rising("aioctl_webhook_calls_total", 'path="/convert", code="503"', 1),
        _rising("aioctl_webhook_calls_total", 'path="/convert", code="400"', 1),
    ),
    "AioctlConversionErrors": (
        _rising("aioctl_conversion_duration_seconds_count", 'direction="up", result="panic"', 1),
        _rising("aioctl_conversion_duration_seconds_count", 'direction="up", result="bad_request"', 1),
    ),
    "AioctlConversionSlow": (_conversions(slow=3), _conversions(slow=0)),
    "AioctlCertificateExpires": (
        {_EXPIRY: f"{7 * _DAY + 600}x90"},
        {_EXPIRY: f"{8 * _DAY}x90"},
    ),
    "AioctlMigrationWaits": ({_WAITING: "3700x90"}, {_WAITING: "3500x90"}),
    "AioctlServicesHeld": (
        {_labels("aioctl_services", 'state="Held"'): _ON},
        {_labels("aioctl_services", 'state="Held"'): _OFF, _labels("aioctl_services", 'state="Initial"'): _ON},
    ),
    "AioctlReconcileErrors": (_reconciles(errors=20), _reconciles(errors=5)),
    "AioctlQueueNotDraining": ({_QUEUE: "9x90"}, {_QUEUE: "9x50 0x0 9x40"}),
    "AioctlEventLoopLag": (
        _histogram("aioctl_event_loop_lag_seconds", "", 3, "0.25", "0.01"),
        _histogram("aioctl_event_loop_lag_seconds", "", 0, "0.25", "0.01"),
    ),
    "AioctlStorageMigrationRefused": (
        _rising("aioctl_storage_migration_objects_total", 'result="refused"', 1),
        _rising("aioctl_storage_migration_objects_total", 'result="migrated"', 1),
    ),
    "AioctlWatchesBreak": (
        _rising("aioctl_watch_ends_total", 'cause="error"', 1),
        _rising("aioctl_watch_ends_total", 'cause="end"', 9),
    ),
}  # fmt: skip

"""The only place that talks to an API server: transport, list and watch, discovery, lease, events."""

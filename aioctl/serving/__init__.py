"""The HTTPS webhooks, their certificates, probes and the metrics page."""

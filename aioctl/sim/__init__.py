"""A small cluster in one process: API server, gateway and workload players, data plane, fault scripts.

For the demo, the tests and the bench. A tool, not a second Kubernetes: other people's kinds are tables of facts, and what
depends on CEL, OpenAPI or pods is tested on a real API server.
"""

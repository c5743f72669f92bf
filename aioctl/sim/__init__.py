"""The embedded cluster: API server, gateway and workload players, data plane, faults. A tool, not a second Kubernetes."""

"""Those who answer the controller: gateways that accept pools and routes, workloads that become available.

They speak the project's own client: over the memory wire on the simulated cluster in this process, over HTTP on any other.
"""

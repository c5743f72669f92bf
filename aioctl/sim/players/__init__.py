"""Those who answer the controller: gateways that accept pools and routes, workloads that become available.

Written against a tiny client protocol (`players.client`), so that they play on the simulated cluster and on a real API
server alike.
"""

"""Joins the pure plan to the cluster: triggers, observe, apply (the only writer), reconcile."""

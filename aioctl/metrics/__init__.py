"""The metrics: what each family declares, how it is filled, and the page that shows them all."""

"""An emulator of what Kubeflow Pipelines' API server, driver and launcher do with a spec.

It is written from reading their Go sources and is no substitute for a cluster: where it differs
from them, they are right. It refuses what they refuse, resolves inputs as the driver does, and
moves files as the launcher does, each step in a process and mount namespace of its own.
"""

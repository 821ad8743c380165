"""Issuance: the services that give credentials to humans, machines and workloads (SPEC 13.1)."""

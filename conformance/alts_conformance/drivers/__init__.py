"""Drivers: programs that put an implementation behind the driver protocol (conformance/DRIVER.md)."""

"""The attack gallery: attacks on ALTS, run as bytes over loopback sockets against the implementation."""

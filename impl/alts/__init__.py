"""The reference implementation of the open ALTS profile: a sans-IO core and its adapters."""

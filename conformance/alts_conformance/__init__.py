"""The conformance suite: cases, peers, runner, reports and the `alts` command."""

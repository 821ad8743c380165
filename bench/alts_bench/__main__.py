"""Run the benchmarks as a module."""

from .cli import main

raise SystemExit(main())

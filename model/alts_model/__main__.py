"""`python -m alts_model`: the same as `alts model`."""

import sys

from alts_model.cli import main

sys.exit(main())

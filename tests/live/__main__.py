"""`python -m tests.live`: see docs/live.md."""

import sys

from tests.live.program import main

sys.exit(main())

"""`python -m pretrain_report`."""

import sys

from pretrain_report.main import main

sys.exit(main())

"""`python -m pretrain_dataprep STAGE`."""

import sys

from pretrain_dataprep.main import main

sys.exit(main(sys.argv[1:]))

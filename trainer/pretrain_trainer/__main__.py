"""The trainer container's command."""

import sys

from pretrain_trainer.supervisor.main import main

if __name__ == "__main__":
    sys.exit(main())

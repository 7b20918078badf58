"""The operator container's command."""

import sys

from pretrain_operator.kubernetes.main import main

if __name__ == "__main__":
    sys.exit(main())

"""``python -m pynq_snn``: the command line."""

import sys

from pynq_snn.cli import main

if __name__ == "__main__":
    sys.exit(main())

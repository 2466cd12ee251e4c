#!/usr/bin/env python3
"""The lab's command: `.venv/bin/python molecule/lab/lab.py --help`."""

import sys

from labkit.cli import main

sys.exit(main())

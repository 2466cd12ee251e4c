"""Installs pip as get-pip.py does, from what Python brings: stands in for it where its download can't be reached."""

import subprocess
import sys

# In a process of its own, since ensurepip turns pip's configuration off.
subprocess.check_call([sys.executable, "-m", "ensurepip"])
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments]))

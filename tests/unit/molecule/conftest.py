"""The lab's code lies beside its command, not in the collection."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "molecule" / "lab"))

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""`python -m uwsgi_consul.cli` is the command `uwsgi-consul`."""

from __future__ import annotations

from . import main

if __name__ == "__main__":
    raise SystemExit(main())

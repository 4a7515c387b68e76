#!/bin/bash
# tests/nehalem.sh on every kind of CPU, with every tiny model.
cd "$(dirname "$0")/../.." || exit 1
NEHALEM_LONG=1 exec tests/nehalem.sh

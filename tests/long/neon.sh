#!/bin/bash
# tests/neon.sh with every test on every CPU, and the models on every kernel set.
cd "$(dirname "$0")/../.." || exit 1
NEON_LONG=1 exec tests/neon.sh

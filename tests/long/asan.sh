#!/bin/bash
# Every test in a build with the address and undefined-behaviour sanitizers. Speaks TAP.
cd "$(dirname "$0")/../.." || exit 1
. tests/long/tier.bash
tier asan asan

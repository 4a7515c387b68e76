#!/bin/bash
# tests/torture.sh with every call.
LONG=1 exec "$(dirname "$0")/../torture.sh"

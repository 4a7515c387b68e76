#!/bin/bash
# What hostile files may cost before they are refused: 64 MB and 1.2 times the file (a tokenizer.json: 8 times, bounds.py
# says why), one second of processor time, and a stack of 128 KB, in every verb that reads them. Speaks TAP.
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-/usr/bin/python3}
if ! command -v "$python" >/dev/null; then echo "ok - bounds # skip: no $python"; exit 0; fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PITH_DATA=$PWD/models/bundled
"$python" tests/bounds_files.py "$dir" && "$python" tests/bounds.py "$dir" "$(realpath "${PITH:-./pith}")"

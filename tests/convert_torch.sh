#!/bin/bash
# pith convert against checkpoints that torch wrote, and against hostile ones. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-/usr/bin/python3}
if ! command -v "$python" >/dev/null; then
    echo "ok 1 - checkpoints are converted as torch reads them # skip no $python"
    exit 0
fi
exec "$python" tests/convert_torch.py "${PITH:-./pith}"

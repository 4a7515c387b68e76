#!/bin/bash
# The page of `pith inspect --html` in headless Chromium, driven through chromedriver. Speaks TAP. SHOTS=DIR keeps
# screenshots there.
set -u
cd "$(dirname "$0")/.." || exit 1
for tool in chromium chromedriver; do
    if ! command -v $tool >/dev/null 2>&1; then
        echo "ok - the page in a browser # skip: no $tool (tools/deps.sh browser)"
        exit 0
    fi
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 tests/browser_inspect.py "${PITH:-./pith}" "$dir" 2>"$dir/log"
rc=$?
if ((rc)); then sed 's/^/# /' "$dir/log"; fi
exit $rc

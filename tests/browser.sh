#!/bin/bash
# The page of `pith inspect --html` and that of `pith serve` in headless Chromium, driven through chromedriver. Speaks TAP.
# SHOTS=DIR keeps screenshots there; PAGE=inspect|serve looks at one.
set -u
cd "$(dirname "$0")/.." || exit 1
for tool in chromium chromedriver; do
    if ! command -v $tool >/dev/null 2>&1; then
        echo "ok - the pages in a browser # skip: no $tool (tools/deps.sh browser)"
        exit 0
    fi
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rc=0
for page in ${PAGE:-inspect serve}; do
    mkdir "$dir/$page"
    if python3 -B "tests/browser_$page.py" "${PITH:-./pith}" "$dir/$page" 2>"$dir/log"; then continue; fi
    rc=1
    sed 's/^/# /' "$dir/log"
done
exit $rc

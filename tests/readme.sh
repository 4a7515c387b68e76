#!/bin/bash
# Runs every command that README shows, in a folder that looks like a fresh checkout; a block under
# "<!-- not run in CI: why -->" is left out and counted as skipped. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
if [[ ${BUILD:-build} != build ]]; then echo "ok - README # skip: only for the release build"; exit 0; fi
root=$PWD dir=$(mktemp -d) failed=0 n=0
trap 'rm -rf "$dir"' EXIT
for f in * .clang-format; do ln -s "$root/$f" "$dir/$f"; done
python3 - "$dir" <<'P' || exit 1
import re, sys
text = open("README.md", encoding="utf-8").read()
blocks = re.findall(r"(<!-- not run in CI: [^\n]*-->\n+)?```sh\n(.*?)```", text, re.S)
assert blocks, "README shows no command"
for i, (skip, body) in enumerate(blocks):
    open("%s/.block%02d%s" % (sys.argv[1], i, ".skip" if skip else ""), "w").write((skip or "") + body)
P
cd "$dir" || exit 1
export PATH=$dir:$PATH
for b in .block*; do
    n=$((n + 1))
    name="README block $n: $(grep -vE '^(#|<!--)' "$b" | head -1 | cut -c1-70)"
    if [[ $b == *.skip ]]; then
        echo "ok - $name # skip: $(sed -n 's/<!-- not run in CI: \(.*\) -->/\1/p' "$b")"
        continue
    fi
    # `make test` is what runs this.
    sed -i '/^make test/d' "$b"
    if bash -eu -o pipefail "$b" >log 2>&1 </dev/null; then echo "ok - $name"; else
        echo "not ok - $name"
        sed 's/^/#   /' log
        failed=1
    fi
done
exit $failed

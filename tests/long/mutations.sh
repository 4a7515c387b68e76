#!/bin/bash
# The corpora, mutated: every cut, flipped bit, lost and doubled byte of a safetensors header, headers of 100 MB, then
# MUTATIONS (1500) random changes to each kind of file that strangers write, each read by the verb that reads most of it.
# pith accepts or refuses: exit 0, or 1 with one line on stderr, no signal, no sanitizer report, within SECONDS_EACH (5)
# seconds of processor time. A mutation takes 45 ms of processor; the fuzzers (make fuzz) do many more, inside the library.
# $PITH of the sanitizer build is better still: PITH=build/asan/pith. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then echo "ok - mutations # skip: no $python"; exit 0; fi
PITH=$(realpath "${PITH:-./pith}")
[[ ! -x build/asan/pith ]] || PITH=$PWD/build/asan/pith
export PITH PITH_DATA=$PWD/models/bundled
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rc=0
"$python" tests/corpora/gen_safetensors_bad.py "$dir/st" --mutations --big >/dev/null || exit 1
"$python" tests/corpora/run_corpus.py st "$dir/st" -- "$PITH" inspect {} >"$dir/log" || rc=1
if ((rc)); then
    grep -A3 '^not ok' "$dir/log" | head -100
else
    echo "ok - $(grep -c '^ok' "$dir/log") mutated safetensors files"
fi
rm -rf "$dir/st"
"$python" tests/corpora/gen_bad_bin.py "$dir/bin" >/dev/null || exit 1
"$python" tests/long/mutations.py "$dir" "${MUTATIONS:-1500}" "${JOBS:-$(nproc)}" || rc=1
exit $rc

#!/bin/bash
# 445 malformed and boundary-valid safetensors files, made here, each with the verdict the format's rules ask for (checked
# against the reference reader); pith inspect must agree on every one, in whatever build $PITH is. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
    echo "ok 1 - corpus of safetensors files # skip no $python"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$python" tests/corpora/gen_safetensors_bad.py "$dir" >/dev/null || { echo "not ok 1 - the corpus was made"; exit 1; }
# The generator's verdicts are the recorded ones, so that neither can drift alone.
if ! diff <(cut -f1,2 "$dir/expected.tsv") <(cut -f1,2 tests/corpora/safetensors_expected.tsv) >"$dir/diff"; then
    sed 's/^/# /' "$dir/diff"
    echo "not ok 1 - the generator's verdicts are those on record"
    exit 1
fi
"$python" tests/corpora/run_corpus.py st "$dir" -- "${PITH:-./pith}" inspect {}

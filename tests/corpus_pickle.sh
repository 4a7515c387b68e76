#!/bin/bash
# 173 malformed, hostile and boundary-valid PyTorch checkpoints, made here, each with its verdict: pith inspect must agree on
# every one, whether it reads the directory only or all data. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
    echo "ok 1 - corpus of PyTorch checkpoints # skip no $python"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$python" tests/corpora/gen_bad_bin.py "$dir" >/dev/null || { echo "not ok 1 - the corpus was made"; exit 1; }
# The generator's verdicts are the recorded ones, so that neither can drift alone.
if ! diff <(cut -f1,2 "$dir/expected.tsv") tests/corpora/pickle_expected.tsv >"$dir/diff"; then
    sed 's/^/# /' "$dir/diff"
    echo "not ok 1 - the generator's verdicts are those on record"
    exit 1
fi
failed=0
for how in "" --stats; do
    # shellcheck disable=SC2086
    "$python" tests/corpora/run_corpus.py bin "$dir" -- "${PITH:-./pith}" inspect $how {} || failed=1
done
# What is not on the list is refused by its name, not for some other reason.
n=0 wrong=
while IFS=$'\t' read -r name _ note; do
    [[ $note == "GLOBAL "*" must be refused"* ]] || continue
    n=$((n + 1))
    read -r _ module global _ <<<"$note"
    [[ $global == *\?* ]] && global=${global%%\?*}
    "${PITH:-./pith}" inspect "$dir/$name.bin" 2>&1 >/dev/null | grep -qF "checkpoint wants to call $module.$global" || wrong+=" $name"
done <"$dir/expected.tsv"
if ((n == 22)) && [[ -z $wrong ]]; then echo "ok - 22 foreign names are refused by name"; else
    echo "not ok - 22 foreign names are refused by name: $n of them, wrong:$wrong"
    failed=1
fi
exit $failed

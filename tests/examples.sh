#!/bin/bash
# The examples of the C interface (tools/examples): built by the line that stands in them, and run. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} python=${PYTHON:-/usr/bin/python3} failed=0 PITH=${PITH:-./pith}
# A program in a build folder does not lie beside the bundled models.
[[ -e $(dirname "$PITH")/models/bundled ]] || export PITH_DATA=$PWD/models/bundled
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
check() { # name command...
    local name=$1; shift
    if "$@" >"$dir/log" 2>&1; then echo "ok - $name"; else echo "not ok - $name"; sed 's/^/#   /' "$dir/log"; failed=1; fi
}

# Files whose numbers are known here.
"$python" - "$dir" <<'P' || exit 1
import json, struct, sys
v = [(i * 37 % 1000 - 400) / 8 for i in range(9001)]
h = json.dumps({"long.weight": {"dtype": "F64", "shape": [1, 9001], "data_offsets": [0, 72008]},
                "bf": {"dtype": "BF16", "shape": [3], "data_offsets": [72008, 72014]},
                "scalar": {"dtype": "I64", "shape": [], "data_offsets": [72014, 72022]},
                "f4": {"dtype": "F4", "shape": [2], "data_offsets": [72022, 72023]}}).encode()
data = struct.pack("<9001d", *v) + struct.pack("<3H", 0x3f80, 0xc000, 0x3e80) + struct.pack("<q", -7) + b"\0"
open(sys.argv[1] + "/x.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + data)
with open(sys.argv[1] + "/long", "w") as f:
    for x in v[:8]: print("%.9g" % x, file=f)
    print("9001 elements, from %.9g to %.9g" % (min(v), max(v)), file=f)
P
printf '%s\n' 'long.weight F64 [1,9001]' 'bf BF16 [3]' 'scalar I64 []' 'f4 F4 [2]' >"$dir/list"
printf '%s\n' 1 -2 0.25 '3 elements, from -2 to 1' >"$dir/bf"
printf '%s\n' -7 '1 elements, from -7 to -7' >"$dir/scalar"

read_tensors() { # program
    local p=$1 x=$dir/x.safetensors t
    cmp <("$p" "$x") "$dir/list" || return 1
    for t in long:long.weight bf:bf scalar:scalar; do cmp <("$p" "$x" "${t#*:}") "$dir/${t%:*}" || return 1; done
    "$p" "$x" none 2>"$dir/err" && return 1
    grep -q "no tensor 'none'" "$dir/err" || return 1
    "$p" "$x" f4 2>"$dir/err" && return 1
    grep -q 'f4: ' "$dir/err" || return 1
    "$p" "$dir/nothing" 2>"$dir/err" && return 1
    grep -q 'nothing' "$dir/err" || return 1
    "$p" 2>"$dir/err"
    [[ $? == 2 ]]
}
write_tensors() { # program
    local p=$1 x=$dir/x.safetensors y=$dir/y.safetensors
    rm -f "$y"
    "$p" "$x" "$y" && "$build/tools/examples/read_tensors" "$y" | sort | cmp - <(sort "$dir/list") || return 1
    "$p" "$x" "$y" 2>"$dir/err" && return 1
    grep -q 'is there already' "$dir/err" || return 1
    cp "$y" "$dir/z.safetensors"
    "$p" "$dir/z.safetensors" "$y" --replace && cmp "$y" "$dir/z.safetensors" || return 1
    "$p" "$x" 2>"$dir/err"
    [[ $? == 2 ]]
}
sentiment=models/bundled/sentiment
usage() { # program; called with no arguments
    "$1" 2>"$dir/err"
    [[ $? == 2 ]] && grep -q '^usage: ' "$dir/err"
}
fails() { # words, program arguments...: a line that has the words, and exit status 1
    local words=$1; shift
    "$@" >"$dir/out" 2>"$dir/err"
    [[ $? == 1 && $(wc -l <"$dir/err") == 1 ]] && grep -q -- "$words" "$dir/err"
}
classify() { # program
    cmp <("$1" $sentiment "A wonderful, moving film." "Two hours I will never get back." | sed 's/ [A-Z].*//') \
        <("$PITH" classify "A wonderful, moving film." "Two hours I will never get back." | sed 's/  [A-Z].*//; s/  / /') || return 1
    fails nothing "$1" "$dir/nothing" text && fails "no classification head" "$1" models/bundled/reviews text && usage "$1"
}
classify_threads() { # program
    for i in $(seq 25); do printf 'film %d is wonderful\nfilm %d is so dull and so bad\n' $i $i; done >"$dir/lines"
    "$PITH" classify --json <"$dir/lines" | "$python" -c 'import json, sys; [print(json.loads(x)["label"]) for x in sys.stdin]' >"$dir/labels"
    [[ $(sort -u "$dir/labels" | wc -l) == 2 ]] || return 1
    for n in 1 3 8; do cmp <("$1" $sentiment $n "$dir/lines") "$dir/labels" || return 1; done
    fails nothing "$1" $sentiment 2 "$dir/nothing" && usage "$1"
}
generate() { # program
    # The bundled model samples with its own settings; seed 0 is a request's default.
    cmp <("$1" models/bundled/reviews "This movie" 20) <("$PITH" generate -m reviews "This movie" -n 20 --seed 0 | sed 's/^This movie//') || return 1
    fails nothing "$1" "$dir/nothing" text && fails "writes no text" "$1" $sentiment text && usage "$1"
}
embed() { # program
    "$1" $sentiment "A wonderful film." "A wonderful movie." "Dull." >"$dir/out" || return 1
    "$PITH" embed -m sentiment --normalize yes --input <(printf '%s\n' "A wonderful film." "A wonderful movie." "Dull.") --format text --json >"$dir/vectors" || return 1
    "$python" - "$dir/out" "$dir/vectors" <<'P' || return 1
import json, sys
shown = [float(x.split()[0]) for x in open(sys.argv[1])]
v = [json.loads(x)["embedding"] for x in open(sys.argv[2])]
true = [sum(a * b for a, b in zip(v[0], x)) for x in v]
assert len(shown) == 3 and all(abs(a - b) < 6e-5 for a, b in zip(shown, true)), (shown, true)
P
    fails nothing "$1" "$dir/nothing" text && fails "no vectors" "$1" models/bundled/reviews text && usage "$1"
}
verify() { # program
    rm -rf "$dir/model" "$dir/manifest"
    cp -r $sentiment "$dir/model"
    "$1" "$dir/model" "$dir/manifest" | grep -q 'all right: .*manifest written' && "$1" "$dir/model" "$dir/manifest" | grep -q '^all right' || return 1
    printf '\177' | dd of="$dir/model/model.safetensors" bs=1 seek=100000 conv=notrunc 2>"$dir/err"
    "$1" "$dir/model" "$dir/manifest" >"$dir/out" && return 1
    grep -q '^FAILED: .*model.safetensors' "$dir/out" && fails nothing "$1" "$dir/nothing" && usage "$1"
}
examples="classify classify_threads embed generate read_tensors verify write_tensors"
for x in $examples; do check "$x" $x "$build/tools/examples/$x"; done

if [[ $build != build ]]; then
    echo "ok - by pkg-config # skip: an uninstrumented program cannot load an instrumented library"
else
    check "make install" make -s install PREFIX="$dir/usr"
    export PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig LD_LIBRARY_PATH=$dir/usr/lib
    for x in $examples; do
        line=$(sed -n "s/^ \* *\(cc $x\.c.*\)/\1/p" tools/examples/$x.c)
        cp tools/examples/$x.c "$dir/"
        check "the compile line of $x" bash -c "cd '$dir' && ${line:-false}"
        check "and what it makes" $x "$dir/$x"
    done
    numpy() {
        local p=tools/examples/pith_numpy.py
        cmp <("$python" $p $sentiment "A wonderful film.") <("$PITH" classify --json "A wonderful film." |
            "$python" -c 'import json, sys; [print(k, "%.4f" % v) for k, v in json.load(sys.stdin)["scores"].items()]') || return 1
        "$python" $p "$dir/nothing" text 2>&1 | grep -q 'RuntimeError: .*nothing' || return 1
        "$python" -c 'import numpy' 2>/dev/null || return 0
        "$python" - "$dir/x.safetensors" <<'P'
import sys
sys.path.insert(0, "tools/examples")
import pith_numpy
assert pith_numpy.tensor(sys.argv[1], "bf").tolist() == [1, -2, 0.25]
x = pith_numpy.tensor(sys.argv[1], "long.weight")
assert x.shape == (1, 9001) and x[0, 1] == -363 / 8
P
    }
    PITH_LIBRARY=$dir/usr/lib/libpith.so.0 check "pith_numpy.py$("$python" -c 'import numpy' 2>/dev/null || echo ' (labels only: no numpy)')" numpy
fi
for x in $examples; do
    check "$x is short" test "$(wc -l <tools/examples/$x.c)" -lt 80
done
exit $failed

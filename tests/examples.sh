#!/bin/bash
# The examples of the C interface (tools/examples): built by the line that stands in them, and run. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} python=${PYTHON:-python3} failed=0
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
check "read_tensors" read_tensors "$build/tools/examples/read_tensors"
check "write_tensors" write_tensors "$build/tools/examples/write_tensors"

if [[ $build != build ]]; then
    echo "ok - by pkg-config # skip: an uninstrumented program cannot load an instrumented library"
else
    check "make install" make -s install PREFIX="$dir/usr"
    export PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig LD_LIBRARY_PATH=$dir/usr/lib
    for x in read_tensors write_tensors; do
        line=$(sed -n "s/^ \* *\(cc $x.*\)/\1/p" tools/examples/$x.c)
        cp tools/examples/$x.c "$dir/"
        check "the compile line of $x" bash -c "cd '$dir' && ${line:-false}"
        check "and what it makes" $x "$dir/$x"
    done
fi
for x in read_tensors write_tensors; do
    check "$x is short" test "$(wc -l <tools/examples/$x.c)" -lt 80
done
exit $failed

#!/bin/bash
# kill -9 at random moments of every command that writes a file: afterwards the file is the old one or the whole new one,
# what lies beside it is bounded and the next run removes it, and a batch job goes on with --resume to the same bytes.
# usage: [SEED=n] [KILLS=n] tests/long/kill9.sh; speaks TAP. A model of a few hundred KB, and one of tens of MB.
# Took about a minute of processor.
cd "$(dirname "$0")/../.." || exit 1
load() { . "tests/$1.bash"; }
export BATS_TEST_TMPDIR
BATS_TEST_TMPDIR=$(mktemp -d)
load cli
load faults
load writers
DEBRIS='.*pith-*'
SEED=${SEED:-$RANDOM} KILLS=${KILLS:-60} n=0 failed=0
RANDOM=$SEED
echo "# SEED=$SEED KILLS=$KILLS"
trap 'rm -rf "$BATS_TEST_TMPDIR"' EXIT
cd "$BATS_TEST_TMPDIR" || exit 1

result() { # status name
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        failed=1
    fi
}

# killed NAME TARGET OLD COMMAND...: OLD as in faults.bash. Debris is never more than one temporary file or folder, for each
# run begins with removing the last one's, and none is there after the next good run (which faults_kill makes every tenth time, and at the end).
killed() {
    local name=$1 target=$2 old=$3 rc=0
    shift 3
    rm -rf d reference
    mkdir d
    "$@" >/dev/null 2>&1 || { echo "# $name: it fails without being killed"; result 1 "$name"; return; }
    mv "$target" reference
    faults_kill "$KILLS" "$target" "$old" reference "$@" >log 2>&1 || rc=1
    sed 's/^/# /' log
    [ "$killed_most" -le 1 ] || { echo "# $killed_most things beside the target at once"; rc=1; }
    echo "# of $KILLS kills $killed_old left what was there, $killed_new the new one, $killed_debris something beside it"
    result $rc "$name"
}

# resumed NAME INPUT OUTPUT: a batch job is killed again and again, with --resume, until it has finished by itself or was killed
# often; then it is finished. Sometimes half of its last row is cut off, or half a row added, as a machine that lost its power
# may leave it.
resumed() {
    local name=$1 in=$2 out=$3 rc=0 took=0 start t pid size jobs=0 kills=0
    "$PITH" classify -q -m m -t 1 -f "$in" -o "$out" || rc=1
    mv "$out" whole
    for _ in 1 2 3; do # the quickest: the machine may be busy
        rm -f "$out"
        start=${EPOCHREALTIME/./}
        "$PITH" classify -q -m m -t 1 -f "$in" -o "$out" --resume || rc=1
        t=$((${EPOCHREALTIME/./} - start))
        [ $took != 0 ] && [ $took -le $t ] || took=$t
    done
    cmp -s whole "$out" || rc=1
    while [ $kills -lt "$KILLS" ] && [ $rc = 0 ]; do
        jobs=$((jobs + 1))
        rm -f "$out"
        for _ in 1 2 3 4 5 6; do
            t=$(((RANDOM * 32768 + RANDOM) % took))
            (exec "$PITH" classify -q -m m -t 1 -f "$in" -o "$out" --resume >/dev/null 2>&1 </dev/null) &
            pid=$!
            sleep "$((t / 1000000)).$(printf %06d $((t % 1000000)))"
            kill -9 "$pid" 2>/dev/null && kills=$((kills + 1))
            wait "$pid" 2>/dev/null
            size=$(stat -c %s "$out" 2>/dev/null || echo 0)
            cmp -s -n "$size" whole "$out" || [ "$size" = 0 ] || { echo "# not a beginning of the whole after $t us"; rc=1; }
            case $((RANDOM % 3)) in
            0) [ "$size" -lt 9 ] || truncate -s $((size - RANDOM % 8)) "$out" ;;
            1) [ "$size" = 0 ] || head -c $((size + 1 + RANDOM % 40)) whole >"$out" ;;
            esac
        done
        "$PITH" classify -q -m m -t 1 -f "$in" -o "$out" --resume 2>err || { echo "# $(cat err)"; rc=1; }
        cmp -s whole "$out" || { echo "# the finished job differs"; rc=1; }
    done
    echo "# $jobs jobs killed $kills times"
    [ -z "$(find . -maxdepth 1 -name "$DEBRIS")" ] || { echo "# debris"; rc=1; }
    rm -f "$out" whole
    result $rc "$name"
}

tiny m
# A DistilBERT of 24 MB with the same words.
/usr/bin/python3 - m mid <<'P'
import array, json, os, random, shutil, struct, sys
src, dst = sys.argv[1:]
os.mkdir(dst)
for f in ("tokenizer.json", "tokenizer_config.json"): shutil.copy(src + "/" + f, dst)
c = json.load(open(src + "/config.json"))
b = open(src + "/model.safetensors", "rb").read()
n, = struct.unpack("<Q", b[:8])
h = json.loads(b[8:8 + n])
old = (c["dim"], c["hidden_dim"])
c.update(dim=256, hidden_dim=1024, n_heads=8, n_layers=6)
size = {old[0]: 256, old[1]: 1024}
out, at = {}, 0
for name, t in h.items():
    if name == "__metadata__": continue
    layers = range(6) if ".layer.0." in name else [None] if ".layer." not in name else []
    for i in layers:
        shape = [size.get(x, x) for x in t["shape"]]
        k = 4
        for x in shape: k *= x
        out[name if i is None else name.replace(".layer.0.", ".layer.%d." % i)] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + k]}
        at += k
json.dump(c, open(dst + "/config.json", "w"))
random.seed(1)
piece = array.array("f", [random.gauss(0, 0.05) for _ in range(65536)]).tobytes()
head = json.dumps(out).encode()
with open(dst + "/model.safetensors", "wb") as f: f.write(struct.pack("<Q", len(head)) + head + (piece * (at // len(piece) + 1))[:at])
P
/usr/bin/python3 - <<'P'
import csv, json
with open("in.jsonl", "w") as f:
    for i in range(3000): f.write(json.dumps({"id": i, "text": "a good film" + " bad" * (i % 9)}) + "\n")
w = csv.writer(open("in.csv", "w", newline="")); w.writerow(["id", "text"])
for i in range(3000): w.writerow([i, "a \"good\" film" + ("\nin two lines" if i % 3 == 0 else "")])
with open("in.txt", "w") as f:
    for i in range(3000): f.write("a good film" + " and the plot" * (i % 5) + "\n")
P
echo old >old.txt
writers_prepare
"$PITH" convert -q m oldm --dtype bf16 >/dev/null

for model in m mid; do
    killed "convert $model" d/t oldm "$PITH" convert -q $model d/t --force --max-shard-size 4MB --dtype f16
    killed "convert $model to a file" d/t.safetensors old.txt "$PITH" convert -q $model/model.safetensors d/t.safetensors --force --dtype f16
    killed "quantize $model" d/t oldm "$PITH" quantize -q $model d/t --force
    killed "verify --manifest of $model" d/t.json "" "$PITH" verify -q $model -t 1 --manifest d/t.json --force
    killed "verify --record of $model" d/t.json "" "$PITH" verify -q $model -t 1 --record d/t.json --force
    killed "inspect --html of $model" d/t.html old.txt "$PITH" inspect -q $model --html d/t.html
    rm -rf d reference
    mkdir d
    "$PITH" convert -q $model d/t --force --dtype f16 >/dev/null && "$PITH" verify -q d/t >/dev/null
    result $? "what convert makes of $model verifies"
done
writers killed
resumed "--resume of jsonl" in.jsonl o.jsonl
resumed "--resume of csv" in.csv o.csv
resumed "--resume of csv in jsonl" in.csv o.jsonl
resumed "--resume of text" in.txt o.txt
exit $failed

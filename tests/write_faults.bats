# A file that is written appears whole or not at all: failing calls, full and read-only disks, kill -9, races. The program
# that writes is the example tools/examples/write_tensors.c. PITH_KILLS=200 for the long run.
bats_require_minimum_version 1.5.0
setup() {
    kills=${PITH_KILLS:-40}
    load cli
    load faults
    WRITE=$(realpath "${BUILD:-build}/tools/examples/write_tensors")
    cd "$BATS_TEST_TMPDIR"
    mkdir d
    make_weights small 3000 1
    make_weights other 5000 2
}
teardown() { [ -z "${MOUNTED:-}" ] || umount "$MOUNTED"; }

# NAME.safetensors of four tensors of SIZE bytes together, as write_tensors would write them.
make_weights() { # name size seed
    /usr/bin/python3 - "$@" <<'P'
import json, random, struct, sys
name, size, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
n = [size // 16 * 8, size // 4 // 2 * 2, size // 8, size // 8]
h, at = {"__metadata__": {"format": "pt", "seed": str(seed)}}, 0
for key, dtype, width, bytes_ in (("a", "F64", 8, n[0]), ("b", "BF16", 2, n[1]), ("c", "U8", 1, n[2]), ("d", "U8", 1, n[3])):
    h[key] = {"dtype": dtype, "shape": [bytes_ // width], "data_offsets": [at, at + bytes_]}
    at += bytes_
h = json.dumps(h, separators=(",", ":")).encode()
h += b" " * (-len(h) % 8)
with open(name + ".safetensors", "wb") as f: f.write(struct.pack("<Q", len(h)) + h + random.randbytes(at))
P
}

write() { "$WRITE" "$1.safetensors" "${2:-d/t.safetensors}" --replace; }

@test "what is written is byte for byte what was read" {
    write small
    cmp small.safetensors d/t.safetensors
    [ "$(ls -A d)" = t.safetensors ]
}

@test "each call that fails: the target absent or whole, one line, nothing left behind" {
    faults_need
    for how in 28 5+; do # ENOSPC, EIO
        for old in "" other.safetensors; do
            faults_sweep $how d/t.safetensors "$old" small.safetensors write small
            [ "$mattered" -ge 9 ]
        done
    done
    faults_sweep 30+ d/t.safetensors other.safetensors small.safetensors write small # EROFS
    echo "# $swept calls, $mattered of them matter" >&3
}

@test "rows of results are written the same way" {
    faults_need
    tiny m
    printf 'a good film\nbad\n' >rows.txt
    "$PITH" classify -q -m m -f rows.txt -o rows.jsonl
    echo old >old.jsonl
    for old in "" old.jsonl; do
        faults_sweep 5 d/rows.jsonl "$old" rows.jsonl "$PITH" classify -q -m m -f rows.txt -o d/rows.jsonl
        [ "$mattered" -ge 3 ] # to open, to sync, to rename: what stdio writes is not seen
    done
}

@test "interrupted calls are made again, short writes go on" {
    faults_need
    faults_sweep 4 d/t.safetensors other.safetensors small.safetensors write small # EINTR
    [ "$swept" -ge 8 ]
    export FAULT_SHORT=1
    make_weights tiny 64 8
    faults_sweep 28 d/t.safetensors other.safetensors tiny.safetensors write tiny
    [ "$swept" -ge 30 ]
}

@test "the message names the file and the reason" {
    faults_need
    for case in "28 pwrite No space left on device" "28 fallocate No space left on device" "30 open Read-only file system" \
                "13 open Permission denied" "5 fsync Input/output error" "1 rename Operation not permitted"; do
        read -r errno only reason <<<"$case"
        FAULT_ONLY=$only faults_run "$errno" 1 write small
        [ "$status" = 1 ]
        [[ $error == "write_tensors: d/t.safetensors: "*"$reason"* ]] || { echo "$error"; false; }
        [ -z "$(ls -A d)" ]
    done
}

@test "the folder's own sync that fails is told, the file is there" {
    faults_need
    FAULT_ONLY=fsync faults_run 5 2 write small
    [ "$status" = 1 ]
    [[ $error == *"folder cannot be synced: Input/output error"* ]]
    cmp small.safetensors d/t.safetensors
    [ "$(ls -A d)" = t.safetensors ]
}

@test "a file that is there stays without --replace, also one that comes up meanwhile" {
    faults_need
    cp other.safetensors d/t.safetensors
    run_split "$WRITE" small.safetensors d/t.safetensors
    fails 1 "d/t.safetensors: is there already"
    cmp other.safetensors d/t.safetensors
    # By renameat2; where that is not to be had, by link; where neither is, with a placeholder.
    for none in "" renameat2 "renameat2 link"; do
        rm -f d/t.safetensors
        FAULTS=$FAULTS FAULTS_ASAN=$FAULTS_ASAN /usr/bin/python3 - "$WRITE" "$none" <<'P'
import json, os, struct, subprocess, sys
write, none = sys.argv[1:]
env = dict(os.environ)
if none: env.update(LD_PRELOAD=env["FAULTS"], ASAN_OPTIONS=env["FAULTS_ASAN"], FAULT_AT="1", FAULT_ON="1", FAULT_ONLY=none, FAULT_ERRNO="38") # ENOSYS
n = 1 << 26 # takes some time
h = json.dumps({"a": {"dtype": "U8", "shape": [n], "data_offsets": [0, n]}}, separators=(",", ":")).encode()
h += b" " * (-len(h) % 8)
with open("big.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(h)) + h)
    f.truncate(8 + len(h) + n)
def run(comes_up):
    p = subprocess.Popen([write, "big.safetensors", "d/t.safetensors"], env=env, stderr=subprocess.PIPE)
    while comes_up and p.poll() is None:
        if os.listdir("d"):
            open("d/t.safetensors", "x").write("mine")
            comes_up = False
    return p.communicate(timeout=60) and p.returncode
for attempt in range(9): # it may have finished before anything was seen
    try: rc = run(True)
    except FileExistsError: continue
    finally: found = sorted(os.listdir("d"))
    if rc: break
    os.unlink("d/t.safetensors")
else: raise SystemExit("never in time")
assert rc == 1 and found == ["t.safetensors"] and open("d/t.safetensors").read() == "mine", (rc, found)
os.unlink("d/t.safetensors")
assert run(False) == 0 and os.listdir("d") == ["t.safetensors"]
assert os.path.getsize("d/t.safetensors") == os.path.getsize("big.safetensors")
P
    done
}

@test "kill -9 at random moments" {
    make_weights mid 8000000 3
    make_weights last 6000000 4
    faults_kill $((kills / 2)) d/t.safetensors "" mid.safetensors "$WRITE" mid.safetensors d/t.safetensors --replace
    echo "# of $((kills / 2)) kills $killed_old left no file, $killed_new the new one, $killed_debris something beside it" >&3
    faults_kill $((kills / 2)) d/t.safetensors last.safetensors mid.safetensors "$WRITE" mid.safetensors d/t.safetensors --replace
    echo "# of $((kills / 2)) kills $killed_old left the old file, $killed_new the new one, $killed_debris something beside it" >&3
}

@test "writers of one file at once: it is always one of theirs, and whole" {
    for i in 1 2 3 4 5 6; do make_weights w$i $((100000 * i)) $i; done
    for round in 1 2 3; do
        pids=()
        for i in 1 2 3 4 5 6; do write w$i & pids+=($!); done
        for p in "${pids[@]}"; do wait "$p"; done
        whole=
        for i in 1 2 3 4 5 6; do cmp -s w$i.safetensors d/t.safetensors && whole=$i; done
        [ -n "$whole" ]
        [ "$(ls -A d)" = t.safetensors ]
    done
}

@test "a full disk of 1 MB: one line, the old file stays" {
    mkdir disk
    mount -t tmpfs -o size=1m pith-test disk 2>err || { echo "# skip: no mount here: $(cat err)" >&3; skip "no mount here"; }
    MOUNTED=$PWD/disk
    make_weights fits 300000 5
    make_weights big 900000 6
    make_weights huge 3000000 7
    write fits disk/t.safetensors
    for what in big huge; do
        for late in "" 1; do # known before the work, or only when it happens
            run_split env ${late:+LD_PRELOAD=$FAULTS ASAN_OPTIONS=$FAULTS_ASAN FAULT_AT=1 FAULT_ONLY=fallocate FAULT_ERRNO=95} \
                "$WRITE" $what.safetensors disk/t.safetensors --replace
            fails 1 "disk/t.safetensors: "
            [[ $error == *"No space left on device"* ]]
            cmp fits.safetensors disk/t.safetensors
            [ "$(ls -A disk)" = t.safetensors ]
        done
    done
    write fits disk/t.safetensors
    mount -o remount,ro disk
    run_split "$WRITE" fits.safetensors disk/t.safetensors --replace
    fails 1 "Read-only file system"
    cmp fits.safetensors disk/t.safetensors
}

@test "a folder that may not be written to: one line" {
    as=
    if [ "$(id -u)" = 0 ]; then
        command -v setpriv >/dev/null || { echo "# skip: root may write everywhere, and there is no setpriv" >&3; skip "no setpriv"; }
        as="setpriv --reuid=65534 --regid=65534 --clear-groups"
    fi
    dir=$(mktemp -d)
    cp small.safetensors "$WRITE" "$dir/"
    mkdir "$dir/sub"
    cp other.safetensors "$dir/sub/t.safetensors"
    chmod 755 "$dir"
    chmod 555 "$dir/sub"
    run_split $as "$dir/write_tensors" "$dir/small.safetensors" "$dir/sub/t.safetensors" --replace
    cmp other.safetensors "$dir/sub/t.safetensors"
    chmod 755 "$dir/sub"
    rm -r "$dir"
    fails 1 "sub: Permission denied"
}

@test "a limit on the size of files: one line, the old file stays, nothing beside it" {
    tiny m
    for i in $(seq 400); do echo "a good film $i"; done >rows.txt
    echo old >old.txt
    mkdir olddir && cp m/config.json olddir/
    limited() { # target old command...
        local target=$1 old=$2
        shift 2
        rm -rf d
        mkdir d
        cp -r "$old" "$target"
        run_split bash -c 'ulimit -f 8; exec "$@"' limited "$@"
        [ "$status" = 1 ] && [ "$(wc -l <"$BATS_TEST_TMPDIR/err")" = 1 ] && [[ $error == *"File too large"* ]] || { echo "$*: status $status: $error"; return 1; }
        faults_same "$target" "$old"
        [ "$(ls -A d)" = "${target#d/}" ] || { ls -A d; return 1; }
    }
    limited d/t.safetensors old.txt "$PITH" convert -q m/model.safetensors d/t.safetensors --force
    limited d/t olddir "$PITH" convert -q m d/t --force
    limited d/t olddir "$PITH" quantize -q "$GOLDEN/models/llama-odd" d/t --force
    limited d/t.jsonl old.txt "$PITH" classify -q -m m -f rows.txt -o d/t.jsonl
    limited d/t.npy old.txt "$PITH" embed -q -m m -f rows.txt -o d/t.npy
    limited d/t.html old.txt "$PITH" inspect -q m --html d/t.html
}

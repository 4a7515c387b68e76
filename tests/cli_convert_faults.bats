# pith convert: the target is what it was, or whole, whatever fails: calls, disks, signals, other runs. PITH_KILLS: how often it
# is killed (40, or 200). LONG=1: larger sweeps.
bats_require_minimum_version 1.5.0
setup() {
    kills=${PITH_KILLS:-${LONG:+200}}
    kills=${kills:-40}
    load cli
    load faults
    DEBRIS='.pith-*'
    mkdir -p "$BATS_TEST_TMPDIR/work/d"
    cd "$BATS_TEST_TMPDIR/work"
    mkdir -p src/1_Pooling
    echo '{"torch_dtype": "float32"}' >src/config.json
    echo '{}' >src/1_Pooling/config.json
    echo words >src/vocab.txt
    /usr/bin/python3 - src/model.safetensors 40000 3 5 <<'P'
import json, random, struct, sys
h, at = {}, 0
for i, n in enumerate(map(int, sys.argv[2:])):
    h["t%d" % i] = {"dtype": "F32", "shape": [n], "data_offsets": [at, at + 4 * n]}
    at += 4 * n
h = json.dumps(h).encode()
random.seed(1)
with open(sys.argv[1], "wb") as f: f.write(struct.pack("<Q", len(h)) + h + b"".join(struct.pack("<f", random.random()) for _ in range(at // 4)))
P
    convert_to src new
    cp -r src old_src
    echo other >old_src/vocab.txt
    rm -r old_src/1_Pooling
    "$PITH" convert -q old_src old --dtype f32 --max-shard-size all >/dev/null
}
teardown() { [ -z "${MOUNTED:-}" ] || umount "$MOUNTED"; }

convert_to() { "$PITH" convert -q "$1" "${2:-d/t}" --force --max-shard-size 40KB --dtype f16; }

# x.safetensors of SIZE MB on paper: long work.
big() {
    /usr/bin/python3 - "$1" <<'P'
import json, struct, sys
n = int(sys.argv[1]) << 18
h = json.dumps({"x": {"dtype": "F32", "shape": [n], "data_offsets": [0, 4 * n]}}).encode()
with open("x.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(h)) + h)
    f.truncate(8 + len(h) + 4 * n)
P
}

@test "a directory, each call that fails: absent, as it was, or whole; one line; nothing left behind" {
    faults_need
    faults_sweep 28 d/t "" new convert_to src # ENOSPC
    [ "$mattered" -ge 20 ]
    faults_sweep 5+ d/t old new convert_to src # EIO
    [ "$mattered" -ge 20 ]
    echo "# $swept calls, $mattered of them matter" >&3
    [ -z "${LONG:-}" ] || for how in 28 5 13+ 30+ 12; do faults_sweep $how d/t old new convert_to src; done
    export FAULT_SHORT=1
    faults_sweep 4 d/t old new convert_to src # EINTR
}

@test "a file, each call that fails" {
    faults_need
    one() { "$PITH" convert -q src d/t.safetensors --force --dtype f16; }
    one && mv d/t.safetensors one.safetensors
    faults_sweep 13+ d/t.safetensors "" one.safetensors one # EACCES
    [ "$mattered" -ge 6 ]
    faults_sweep 28 d/t.safetensors old/model.safetensors one.safetensors one
    [ "$mattered" -ge 6 ]
    echo "# $swept calls, $mattered of them matter" >&3
}

@test "where directories cannot be exchanged: the old one is put aside, and brought back after a death" {
    faults_need
    export FAULT_ONLY=renameat2
    for errno in 22 38 95; do # EINVAL ENOSYS EOPNOTSUPP
        faults_reset d/t old
        faults_run $errno+ 1 convert_to src
        [ "$status" = 0 ]
        [[ $fired == *renameat2 ]] || { echo "renameat2 was not asked"; false; }
        faults_same d/t new
        [ "$(ls -A d)" = t ]
    done
    # The first and the second rename fail with the exchange.
    export FAULT_ONLY="renameat2 rename"
    faults_sweep 22+ d/t old new convert_to src
    # As a run leaves it that died between the two.
    unset FAULT_ONLY
    faults_reset d/t old; mv d/t d/.pith-replaced-t
    run_split "$PITH" convert nothing d/t
    fails 1 "d/t: exists already"
    faults_same d/t old
    mv d/t d/.pith-replaced-t
    cp -r new d/t # after both, before the old one was removed
    convert_to src
    faults_same d/t new
    [ "$(ls -A d)" = t ]
}

# The program itself is killed, not a shell around it.
@test "kill -9 at random moments" {
    run=("$PITH" convert -q src d/t --force --max-shard-size 40KB --dtype f16)
    faults_kill $((kills / 2)) d/t "" new "${run[@]}"
    echo "# of $((kills / 2)) kills $killed_old left no directory, $killed_new the new one, $killed_debris something beside it" >&3
    seen=$killed_debris
    faults_kill $((kills / 2)) d/t old new "${run[@]}"
    echo "# of $((kills / 2)) kills $killed_old left the old directory, $killed_new the new one, $killed_debris something beside it" >&3
    [ $((seen + killed_debris)) -gt 0 ]
}

@test "an interrupt: 130, the target as it was, nothing beside it; other signals leave what the next run removes" {
    big 600
    cp -r old d/t
    /usr/bin/python3 - <<'P'
import os, signal, subprocess, time
def stop(sig, target, force):
    p = subprocess.Popen([os.environ["PITH"], "convert", "x.safetensors", target] + ["--force"] * force, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    for _ in range(2000):
        if any(n.startswith(".pith-convert-") for n in os.listdir("d")): break
        time.sleep(0.002)
    else: raise SystemExit("nothing began")
    time.sleep(0.05)
    p.send_signal(sig)
    out, err = p.communicate(timeout=60)
    return p.returncode, out, err
for target, force in (("d/t", 1), ("d/u", 0), ("d/u.safetensors", 0)):
    rc, out, err = stop(signal.SIGINT, target, force)
    assert (rc, out, err) == (130, b"", b""), (rc, out, err)
    assert os.listdir("d") == ["t"], os.listdir("d")
rc, out, err = stop(signal.SIGTERM, "d/t", 1)
assert rc == 143, rc
P
    faults_same d/t old
    convert_to src
    [ "$(ls -A d)" = t ]
}

@test "what a living run works in is not taken for debris" {
    mkdir d/.pith-convert-abcdef d/.pith-convert-ghijkl d/.pith-convert-mine d/1_Pooling
    mkdir d/.pith-convert-ghijkl/1_Pooling
    touch d/.pith-convert-abcdef/x d/.pith-convert-ghijkl/x d/.pith-convert-ghijkl/1_Pooling/x
    exec 9<d/.pith-convert-abcdef
    flock -n 9
    convert_to src
    [ "$(ls -A d | sort | tr '\n' ' ')" = ".pith-convert-abcdef .pith-convert-mine 1_Pooling t " ]
    [ -e d/.pith-convert-abcdef/x ]
    exec 9<&-
    convert_to src
    [ "$(ls -A d | sort | tr '\n' ' ')" = ".pith-convert-mine 1_Pooling t " ]
}

@test "runs of one target at once: it is always one of theirs, and whole" {
    for round in 1 2 3; do
        rm -rf d/t
        pids=()
        for i in 1 2 3; do
            convert_to src >/dev/null & pids+=($!)
            "$PITH" convert -q old_src d/t --force --dtype f32 --max-shard-size all >/dev/null 2>&1 & pids+=($!)
        done
        for p in "${pids[@]}"; do wait "$p" || true; done # one that finds a changed target may refuse
        faults_same d/t new || faults_same d/t old
    done
    convert_to src
    [ "$(ls -A d)" = t ]
    faults_same d/t new
}

@test "a target that comes up meanwhile stays" {
    big 300
    for target in d/t d/t.safetensors; do
        /usr/bin/python3 - $target <<'P'
import os, subprocess, sys, time
target = sys.argv[1]
p = subprocess.Popen([os.environ["PITH"], "convert", "-q", "x.safetensors", target], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
while p.poll() is None and not any(n.startswith(".pith-convert-") for n in os.listdir("d")): time.sleep(0.001)
if target == "d/t": os.mkdir(target); open(target + "/mine", "w").write("mine")
else: open(target, "x").write("mine")
out, err = p.communicate(timeout=60)
assert p.returncode == 1 and not out and err.count(b"\n") == 1 and target.encode() in err, (p.returncode, err)
assert os.listdir("d") == [os.path.basename(target)]
P
        rm -rf d/t*
    done
}

@test "a source that shrinks under the mapping: a message, the target as it was" {
    big 300
    cp -r old d/t
    /usr/bin/python3 - <<'P'
import os, subprocess, time
p = subprocess.Popen([os.environ["PITH"], "convert", "-q", "x.safetensors", "d/t", "--force"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
while p.poll() is None and not any(n.startswith(".pith-convert-") for n in os.listdir("d")): time.sleep(0.001)
os.truncate("x.safetensors", 4096)
out, err = p.communicate(timeout=60)
assert p.returncode == 1 and not out and err.count(b"\n") == 1 and b"x.safetensors" in err and b"shrank" in err, (p.returncode, err)
P
    faults_same d/t old
    convert_to src
    [ "$(ls -A d)" = t ]
}

@test "a full disk of 1 MB, a read-only one, another one mounted: one line, the target as it was" {
    mkdir disk
    mount -t tmpfs -o size=1m pith-test disk 2>err || { echo "# skip: no mount here: $(cat err)" >&3; skip "no mount here"; }
    MOUNTED=$PWD/disk
    cp -r old disk/t
    rm -rf d
    "$PITH" convert -q src disk/u.safetensors # fits
    rm disk/u.safetensors
    head -c 750000 /dev/zero >disk/filler
    for target in disk/t disk/u disk/u.safetensors; do
        run_split "$PITH" convert src "$target" --dtype f32 --force
        fails 1 "$target"
        [[ $error == *"No space left on device"* ]]
        faults_same disk/t old
        [ "$(ls -A disk | tr '\n' ' ')" = "filler t " ]
    done
    # Room for the weights, none for what comes along.
    rm disk/filler
    cp -r src fat; head -c 800000 /dev/zero >fat/big.txt
    run_split "$PITH" convert fat disk/t --force
    fails 1 "disk/t/big.txt: cannot write: No space left on device"
    faults_same disk/t old
    [ "$(ls -A disk)" = t ]
    run_split "$PITH" convert src disk --force
    fails 1 "disk: another disk is mounted here"
    mount -o remount,ro "$MOUNTED"
    run_split "$PITH" convert src disk/t --force
    fails 1 "disk/t: cannot write in"
    [[ $error == *"Read-only file system"* ]]
}

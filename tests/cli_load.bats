# Opening a model holds its weights in memory once, however they are packed. Where ids and logits are concerned, other tests look.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
}

@test "peak memory of opening and computing: at most 1.1 x the weights + 32 MB, as downloaded, packed, and quantised at load" {
    [[ $PITH != *san/pith ]] || skip "a sanitizer's own memory is not bounded"
    [ "$(df --output=avail -m . | tail -1)" -gt 1024 ] || skip "less than 1 GB of disk"
    "$PITH" bench -q --shape smollm2-135m --write m >/dev/null
    "$PITH" quantize -q m keep --type keep >/dev/null
    "$PITH" quantize -q m q8 --type q8 >/dev/null
    cat >peak.py <<'P'
import os, resource, subprocess, sys
weights, args = sys.argv[1], sys.argv[2:]
size = os.path.getsize(weights + "/model.safetensors")
for threads in "1", "2":
    subprocess.run([os.environ["PITH"], "generate", "-q", "--ids", "1,2,3", "-n", "2", "--temp", "0", "-t", threads, *args], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
assert size > 100e6, size # else two copies would pass
assert peak <= 1.1 * size + 32e6, (args, peak, size)
print("# %s: peak %d MB, weights %d MB" % (" ".join(args), peak / 1e6, size / 1e6))
P
    while read -r weights args; do
        /usr/bin/python3 peak.py $weights $args >&3
    done <<'L'
m -m m
keep -m keep
keep -m keep --no-mmap
q8 -m m --dtype q8
q8 -m q8
L
}

# Memory does not grow with the number of rows. LONG=1: 400,000 of them.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
    tiny m
}

peak() { # kilobytes that COMMAND... took at most
    /usr/bin/python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}

@test "160,000 rows take the memory of twenty thousand" {
    [[ $PITH != *san/pith ]] || skip "a sanitizer's own memory is not flat"
    rows=$([ -n "${LONG:-}" ] && echo 400000 || echo 160000)
    /usr/bin/python3 - "$rows" <<'P'
import sys
rows = int(sys.argv[1])
for name, n in (("small.jsonl", rows // 8), ("large.jsonl", rows)):
    with open(name, "w") as f:
        for i in range(n): f.write('{"id":%d,"text":"good"}\n' % i)
with open("large.csv", "w") as f:
    f.write("text\n")
    for i in range(rows // 2): f.write("bad\n")
P
    few=$(peak "$PITH" classify -q -m m -t 1 -f small.jsonl -o small.out.jsonl)
    many=$(peak "$PITH" classify -q -m m -t 1 -f large.jsonl -o large.out.jsonl)
    csv=$(peak "$PITH" classify -q -m m -t 1 -f large.csv -o large.csv.out.csv)
    echo "# $((rows / 8)) rows: $few KB, $rows rows: $many KB, $((rows / 2)) of csv: $csv KB" >&3
    [ "$(wc -l <large.out.jsonl)" = "$rows" ]
    [ "$(wc -l <large.csv.out.csv)" = $((rows / 2 + 1)) ]
    tail -1 large.out.jsonl | grep -q "\"id\":$((rows - 1)),"
    [ "$many" -lt $((few + 3072)) ]
    [ "$csv" -lt $((few + 3072)) ]
}

# Memory does not grow with the number of rows.
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

@test "400,000 rows take the memory of fifty thousand" {
    [[ $PITH != *san/pith ]] || skip "a sanitizer's own memory is not flat"
    /usr/bin/python3 - <<'P'
for name, n in (("small.jsonl", 50000), ("large.jsonl", 400000)):
    with open(name, "w") as f:
        for i in range(n): f.write('{"id":%d,"text":"good"}\n' % i)
with open("large.csv", "w") as f:
    f.write("text\n")
    for i in range(100000): f.write("bad\n")
P
    few=$(peak "$PITH" classify -q -m m -t 1 -f small.jsonl -o small.out.jsonl)
    many=$(peak "$PITH" classify -q -m m -t 1 -f large.jsonl -o large.out.jsonl)
    csv=$(peak "$PITH" classify -q -m m -t 1 -f large.csv -o large.csv.out.csv)
    echo "# 50,000 rows: $few KB, 400,000 rows: $many KB, 100,000 of csv: $csv KB" >&3
    [ "$(wc -l <large.out.jsonl)" = 400000 ]
    [ "$(wc -l <large.csv.out.csv)" = 100001 ]
    tail -1 large.out.jsonl | grep -q '"id":399999,'
    [ "$many" -lt $((few + 4096)) ]
    [ "$csv" -lt $((few + 4096)) ]
}

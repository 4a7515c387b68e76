# tier NAME GOAL...: runs make's goal, which ends in run.sh's table, and tells it as TAP, one line a program. What it said stays in
# build/NAME.log.
tier() { table "$1" make --no-print-directory "${@:2}"; }
# table NAME COMMAND...: the same of any command.
table() {
    local name=$1 log=build/$1.log; shift
    mkdir -p build
    # What the run around this one set is its own; LONG too: the short form of each test comes by the same code, a choice of its
    # cases, and takes ten minutes under a sanitizer. `LONG=1 make asan` runs the whole of each.
    env -u LONG -u ONLY -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u BUILD -u PITH -u SANITIZED "$@" >"$log" 2>&1
    awk -v name="$name" '
        table && $3 == "passed" && $5 == "failed" {
            print ($4 ? "not ok" : "ok") " - " name ": " $1 ", " $2 " passed, " $4 " failed" ($2 + $4 ? "" : " # skip: all skipped")
        }
        /^$/ { table = 1 }
        match($0, /^skipped: [^ ]*: left out: /) { why = substr($0, RLENGTH + 1); sub(/:$/, "", $2); print "ok - " name ": " $2 " left out # skip: " why; next }
        /^skipped: / { sub(/^skipped: /, ""); print "# skip: " name ": " $0 }
        /^FAILED: / { print "#   " $0 }' "$log"
    if ! tail -1 "$log" | grep -qE '^[0-9]+ passed, 0 failed'; then
        echo "not ok - $name: $(tail -1 "$log")"
        grep -E '^    \| |error:|Error|warning:' "$log" | tail -200 | sed 's/^/# /'
    fi
}

# tier NAME GOAL...: runs make's goal, which ends in run.sh's table, and tells it as TAP, one line a program.
tier() { table "$1" make --no-print-directory "${@:2}"; }
# table NAME COMMAND...: the same of any command.
table() {
    local name=$1 log; shift
    log=$(mktemp)
    # What the run around this one set is its own.
    env -u LONG -u ONLY -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u BUILD -u PITH -u SANITIZED "$@" >"$log" 2>&1
    awk -v name="$name" '
        table && $3 == "passed" && $5 == "failed" {
            print ($4 ? "not ok" : "ok") " - " name ": " $1 ", " $2 " passed, " $4 " failed" ($2 + $4 ? "" : " # skip: all skipped")
        }
        /^$/ { table = 1 }
        /^skipped: / { print "# " $0 }
        /^FAILED: / { print "#   " $0 }' "$log"
    if ! tail -1 "$log" | grep -qE '^[0-9]+ passed, 0 failed'; then
        echo "not ok - $name: $(tail -1 "$log")"
        grep -E '^    \| |error:|Error|warning:' "$log" | tail -200 | sed 's/^/# /'
    fi
    rm -f "$log"
}

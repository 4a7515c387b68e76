# What the tests of the server share: a server in the background, on a free port or a unix socket, that does not outlive
# its test. Use after `load cli`.

# serve_up [ARGUMENTS...]: until it is ready. URL, PID and its stderr ($SERVE_LOG) are known then.
serve_up() {
    SERVE_LOG=$BATS_TEST_TMPDIR/serve.log
    : >"$SERVE_LOG"
    case " $* " in *" --unix "* | *" --port "*) ;; *) set -- --port 0 "$@" ;; esac
    "$PITH" serve "$@" 2>"$SERVE_LOG" 3>&- &
    PID=$!
    for _ in $(seq 600); do
        grep -q ': ready$' "$SERVE_LOG" && break
        kill -0 $PID 2>/dev/null || break
        sleep 0.05
    done
    grep -q ': ready$' "$SERVE_LOG" || { echo "the server did not come up:"; cat "$SERVE_LOG"; return 1; }
    URL=$(sed -n 's/.*listening on //p' "$SERVE_LOG")
    export URL PID SERVE_LOG
}

# serve_end [SIGNAL]: ends it and waits; its exit status is in $status.
serve_end() {
    kill -"${1:-TERM}" "$PID" 2>/dev/null || true
    for _ in $(seq 1200); do
        kill -0 "$PID" 2>/dev/null || break
        sleep 0.05
    done
    kill -9 "$PID" 2>/dev/null && echo "it did not end"
    status=0
    wait "$PID" || status=$?
    PID=
}

# For teardown.
serve_kill() {
    [ -z "${PID:-}" ] || kill -9 "$PID" 2>/dev/null || true
    [ -z "${PID:-}" ] || wait "$PID" 2>/dev/null || true
}

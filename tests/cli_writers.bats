# Every command that writes a file leaves the old one or the whole new one, whatever fails: each call, a limit on sizes, a
# full disk. Of the writer itself, convert and quantize there is more in write_faults.bats, cli_convert_faults.bats and
# cli_quantize.bats; the commands' own deaths are in tests/long/kill9.sh.
bats_require_minimum_version 1.5.0
setup() {
    load cli
    load faults
    load writers
    DEBRIS='.*pith-*'
    cd "$BATS_TEST_TMPDIR"
    writers_prepare
}
teardown() { [ -z "${MOUNTED:-}" ] || umount "$MOUNTED"; }

# What the command makes: "$@" after NAME TARGET OLD, into `new`.
make_new() {
    local target=$1
    shift
    rm -rf d new && mkdir d
    "$@" >/dev/null 2>err </dev/null || { echo "$*: $(cat err)"; return 1; }
    mv "$target" new
}

sweep() { # NAME TARGET OLD COMMAND...
    local name=$1 target=$2 old=$3 how
    shift 3
    case $name in
    "chat /save") return ;; # goes on after a message, with status 0
    convert* | quantize | *csv) [ -n "${LONG:-}" ] || return 0 ;; # swept elsewhere, or written as others are
    esac
    make_new "$target" "$@"
    for how in 28 ${LONG:+5+}; do # ENOSPC, EIO
        faults_sweep $how "$target" "$old" new "$@" || { echo "$name"; return 1; }
        [ "$mattered" -ge 3 ]
    done
}
@test "each call that fails: the old file or the whole new one, one line, nothing left behind" {
    faults_need
    writers sweep
}

@test "chat /save: each call that fails is told, and the old file is there" {
    faults_need
    chat() { "$PITH" chat -q -m dec -t 1 <chat.txt; }
    make_new d/o.json chat
    for ((n = 1; ; n++)); do
        faults_reset d/o.json old
        faults_run 28 $n chat
        [ -n "$fired" ] || break
        [ "$status" = 0 ]
        is=$(faults_state d/o.json old new)
        [ "$is" = new ] || { [ "$is" = old ] && [[ $error == "pith chat: d/o.json: "*"No space left on device"* ]]; }
    done
    [ $n -ge 4 ]
}

# What no call of its own tells: the writes of streams.
is_refused() { # NAME TARGET OLD COMMAND...: ends so with $WHY
    local name=$1 target=$2 old=$3
    shift 3
    faults_reset "$target" "$old"
    run_split bash -c "$LIMIT"' exec "$@"' limited "$@"
    [[ $error == "pith "*"$WHY"* ]] && [ "$(wc -l <"$BATS_TEST_TMPDIR/err")" = 1 ] || { echo "$name: status $status: $error"; return 1; }
    [ "$status" = 1 ] || [ "$name" = "chat /save" ] || { echo "$name: status $status"; return 1; }
    faults_same "$target" "$old" || { echo "$name: the old file is gone"; return 1; }
    rm -rf "$target"
    [ -z "$(ls -A d)" ] || { ls -A d; return 1; }
}
@test "a limit on the size of files" {
    mkdir d
    LIMIT='ulimit -f 2;' WHY="File too large"
    writers is_refused
}

@test "a full disk" {
    mkdir d
    mount -t tmpfs -o size=8k pith-test d 2>err || { echo "# skip: no mount here: $(cat err)" >&3; skip "no mount here"; }
    MOUNTED=$PWD/d
    LIMIT='' WHY="No space left on device"
    writers is_refused
}

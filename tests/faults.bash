# What the tests share that make a disk fail or a program die while it writes. Whatever happens, the target must be what
# it was before (or absent) or the whole new one, and the next run that succeeds leaves nothing else behind.
# A target is a file or a folder, alone in its parent folder. OLD is a copy of what it was, or "" if it was absent; NEW is a
# copy of what the command makes of it. The command must replace what is there.
FAULTS=$(realpath -m "${BUILD:-build}/tests/faults.so")
# The library comes before a sanitizer's; leaks of a killed program are nobody's.
FAULTS_ASAN=verify_asan_link_order=0:detect_leaks=0:${ASAN_OPTIONS:-}
DEBRIS='.*.pith-??????'

# Skips, saying so, where the library cannot be preloaded.
faults_need() {
    LD_PRELOAD=$FAULTS ASAN_OPTIONS=$FAULTS_ASAN FAULT_AT=1 FAULT_ERRNO=13 mkdir "$BATS_TEST_TMPDIR/probe" 2>"$BATS_TEST_TMPDIR/err" || true
    if [ -d "$BATS_TEST_TMPDIR/probe" ] || ! grep -q denied "$BATS_TEST_TMPDIR/err"; then
        rmdir "$BATS_TEST_TMPDIR/probe" 2>/dev/null || true
        echo "# skip: no library can be preloaded here"
        skip "no library can be preloaded here"
    fi
}

faults_same() { diff -rq -x "$DEBRIS" "$1" "$2" >/dev/null 2>&1; }
faults_debris() { find "$1" -name "$DEBRIS"; } # folder

# The target as it was: absent, or a copy of OLD.
faults_reset() { # target old
    rm -rf "$1"
    [ -z "$2" ] || cp -rp "$2" "$1"
}

# Prints what the target is: old, new (where both hold, old), or what is wrong with it.
faults_state() { # target old new
    if [ -z "$2" ] && [ ! -e "$1" ] && [ ! -L "$1" ]; then echo old
    elif [ -n "$2" ] && faults_same "$1" "$2"; then echo old
    elif faults_same "$1" "$3"; then echo new
    else echo "neither whole nor as it was: $(ls -ld "$1" 2>&1)"; fi
}

# faults_run HOW N COMMAND...: runs it with the N-th call failing. HOW is an errno's number, once; with a "+", from there
# on. Sets status, error and fired (the call and function that failed, "" if none did).
faults_run() {
    local how=$1 n=$2
    shift 2
    rm -f "$BATS_TEST_TMPDIR/told"
    status=0
    # The library writes a file of its own.
    LD_PRELOAD=$FAULTS ASAN_OPTIONS=$FAULTS_ASAN PITH_SANDBOX=off FAULT_AT=$n FAULT_ERRNO=${how%+} FAULT_ON=$([[ $how == *+ ]] && echo 1) \
        FAULT_TOLD=$BATS_TEST_TMPDIR/told "$@" >/dev/null 2>"$BATS_TEST_TMPDIR/err" </dev/null || status=$?
    error=$(<"$BATS_TEST_TMPDIR/err") fired=
    [ ! -e "$BATS_TEST_TMPDIR/told" ] || read -r fired <"$BATS_TEST_TMPDIR/told" || true
}

# A run without faults, after which the target is new and alone.
faults_good() { # target new command...
    local target=$1 new=$2 left
    shift 2
    "$@" >/dev/null 2>"$BATS_TEST_TMPDIR/err" </dev/null || { echo "a run without faults failed: $(cat "$BATS_TEST_TMPDIR/err")"; return 1; }
    faults_same "$target" "$new" || { echo "a run without faults: $(faults_state "$target" "" "$new")"; return 1; }
    left=$(faults_debris "$(dirname "$target")")
    [ -z "$left" ] || { echo "debris after a run without faults: $left"; return 1; }
}

# faults_sweep HOW TARGET OLD NEW COMMAND...: lets the first, second, ... call fail until the command makes no more calls.
# Sets swept, the number of calls that failed, and mattered, how many of the runs failed for it. Where a failure left nothing
# beside the target, the next run finds what it found before: there only each 16th is made, and with LONG=1 every one.
faults_sweep() {
    local how=$1 target=$2 old=$3 new=$4 n is left
    shift 4
    swept=0 mattered=0
    for ((n = 1; ; n++)); do
        faults_reset "$target" "$old"
        faults_run "$how" "$n" "$@"
        [ -n "$fired" ] || break
        swept=$n
        if [ "$status" = 0 ]; then
            faults_same "$target" "$new" || { echo "errno $how at call $fired: status 0, but the target is $(faults_state "$target" "$old" "$new")"; return 1; }
        else
            mattered=$((mattered + 1))
            is=$(faults_state "$target" "$old" "$new")
            if [ "$is" != old ] && [ "$is" != new ]; then echo "errno $how at call $fired: the target is $is"; return 1; fi
            if [ "$status" != 1 ] || [ "$(wc -l <"$BATS_TEST_TMPDIR/err")" != 1 ]; then
                echo "errno $how at call $fired: status $status, expected 1 and one line: $error"
                return 1
            fi
        fi
        left=$(find "$(dirname "$target")" -mindepth 1 \( -name "$DEBRIS" -o ! -path "$target" ! -path "$target/*" \) -print -quit)
        [ -z "$left" ] && [ -z "${LONG:-}" ] && [ $((n % 16)) != 1 ] && continue
        faults_good "$target" "$new" "$@" || { echo "after errno $how at call $fired"; return 1; }
    done
    [ "$status" = 0 ] && faults_same "$target" "$new" || { echo "no call failed, but status $status: $error"; return 1; }
}

# faults_kill COUNT TARGET OLD NEW COMMAND...: kills it (SIGKILL) at random moments of the time it takes. COMMAND is a
# program, no function. Sets killed_old and killed_new: how often the target was which; killed_debris: how often something
# lay beside it, and killed_most how much at once.
faults_kill() {
    local count=$1 target=$2 old=$3 new=$4 start took=0 i is pid t
    shift 4
    killed_old=0 killed_new=0 killed_debris=0 killed_most=0
    for i in 1 2 3; do
        faults_reset "$target" "$old"
        start=${EPOCHREALTIME/./}
        "$@" >/dev/null 2>&1 </dev/null
        t=$((${EPOCHREALTIME/./} - start))
        [ "$took" != 0 ] && [ "$took" -le "$t" ] || took=$t
    done
    for ((i = 0; i < count; i++)); do
        faults_reset "$target" "$old"
        t=$(((RANDOM * 32768 + RANDOM) % took))
        (exec "$@" >/dev/null 2>&1 </dev/null 3>&-) &
        pid=$!
        sleep "$((t / 1000000)).$(printf %06d $((t % 1000000)))"
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        is=$(faults_state "$target" "$old" "$new")
        case $is in
        old) killed_old=$((killed_old + 1)) ;;
        new) killed_new=$((killed_new + 1)) ;;
        *) echo "killed after $t us: the target is $is"; return 1 ;;
        esac
        is=$(find "$(dirname "$target")" -mindepth 1 -maxdepth 1 -name "$DEBRIS" | wc -l)
        [ "$is" = 0 ] || killed_debris=$((killed_debris + 1))
        [ "$is" -le "$killed_most" ] || killed_most=$is
        [ $((i % 10)) != 9 ] || faults_good "$target" "$new" "$@" || return 1
    done
    faults_good "$target" "$new" "$@"
}

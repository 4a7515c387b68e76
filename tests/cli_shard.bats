#!/usr/bin/env bats
# Several processes share a file: what they write, in order, is what one process writes, to the byte.
load cli
load faults

setup() {
    tiny "$BATS_FILE_TMPDIR/m"
    M=$BATS_FILE_TMPDIR/m
    cd "$BATS_TEST_TMPDIR" || return 1
    export OMP_NUM_THREADS=1
}

# shards FILE N SUFFIX [OPTIONS...]: joined output of N shards against one process's
shards() {
    local file=$1 n=$2 suffix=$3 i
    shift 3
    rm -f out-* whole.*
    "$PITH" classify -q -m "$M" -f "$file" -o "whole.$suffix" "$@"
    for i in $(seq "$n"); do "$PITH" classify -q -m "$M" --shard "$i/$n" -f "$file" -o "out-{shard}.$suffix" "$@" || return 1; done
    [ "$(ls out-* | wc -l)" = "$n" ]
    cat out-* | cmp - "whole.$suffix"
}

@test "text, for any number of shards" {
    for i in $(seq 40); do printf '%*s good film %d\n' $((i * i % 37)) '' "$i"; done >x.txt
    printf 'no line end' >>x.txt
    for n in 1 2 3 7 40 100; do shards x.txt $n jsonl; done
    shards x.txt 5 csv
    shards x.txt 5 txt
}

@test "jsonl, with blank lines and CRLF" {
    for i in $(seq 30); do printf '{"id": %d, "text": "movie %d"}\r\n' "$i" "$i"; ((i % 4)) || printf '\r\n'; done >x.jsonl
    for n in 2 3 11 64; do shards x.jsonl $n jsonl; done
}

@test "csv and tsv: quoted line breaks and quotes, a byte order mark; one header" {
    { printf '\xef\xbb\xbfid,text\r\n'; for i in $(seq 30); do printf '%d,"love, %d\r\nand ""hate""\n%*s"\r\n' "$i" "$i" $((i * 7 % 29)) x; done; } >x.csv
    for n in 1 2 3 9 31 80; do shards x.csv $n csv; done
    shards x.csv 4 jsonl
    head -1 out-1.jsonl | grep -q '"id":"1"'
    printf 'good\t1\nbad\t2\nfilm\t3\n' >x.tsv
    for n in 2 3 5; do shards x.tsv $n csv --no-header --column 1; done
    # the last shards of few rows are empty
    shards x.tsv 9 jsonl --no-header --column 1
    [ ! -s out-2.jsonl ] || [ ! -s out-3.jsonl ]
}

@test "a file larger than a read, cut anywhere" {
    seq 9000 | sed 's/.*/{"text": "& & & a great plot and a bad film"}/' >x.jsonl
    [ "$(wc -c <x.jsonl)" -gt 400000 ]
    shards x.jsonl 3 jsonl --max-length 8
}

@test "a broken row is told with its line in the file" {
    printf 'good\nbad\n' | sed 's/.*/{"text":"&"}/' >x.jsonl
    echo '{"text": 5}' >>x.jsonl
    run "$PITH" classify -m "$M" --shard 2/2 -f x.jsonl
    [ "$status" = 1 ]
    [[ $output == *"line 3"* ]]
    run "$PITH" classify -q -m "$M" --shard 1/2 -f x.jsonl
    [ "$status" = 0 ]
}

@test "a shard is gone on with" {
    seq 60 | sed 's/$/ good films/' >x.txt
    "$PITH" classify -q -m "$M" --shard 2/3 -f x.txt -o whole.csv
    head -c 150 whole.csv >out.csv
    "$PITH" classify -m "$M" --shard 2/3 -f x.txt -o out.csv --resume 2>err
    cmp out.csv whole.csv
    grep -q 'going on after' err
}

@test "tasks of a Slurm array take their parts" {
    seq 20 | sed 's/$/ good films/' >x.txt
    "$PITH" classify -q -m "$M" -f x.txt -o whole.jsonl
    for i in 4 6 8; do
        SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=4 SLURM_ARRAY_TASK_MAX=8 SLURM_ARRAY_TASK_STEP=2 \
            "$PITH" classify -m "$M" -f x.txt -o 'out-{shard}.jsonl' 2>err
        grep -q "shard $((i / 2 - 1)) of 3" err
    done
    cat out-*.jsonl | cmp - whole.jsonl
    export SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=1
    run "$PITH" classify -m "$M" -f x.txt -o out.jsonl
    [ "$status" = 2 ]
    [[ $output == *"{shard}"* ]]
    # said to be one of one, it is not a part
    "$PITH" classify -q -m "$M" --shard 1/1 -f x.txt -o out.jsonl
    cmp out.jsonl whole.jsonl
    # rows of stdin and arguments are nobody else's
    [ "$("$PITH" classify -q -m "$M" good bad | wc -l)" = 2 ]
    [ "$("$PITH" classify -q -m "$M" <x.txt | wc -l)" = 20 ]
}

@test "what cannot be" {
    printf 'good\nbad\n' >x.txt
    for s in 0/2 3/2 1 a/b 1/0 -1/2 1/2/3 1/9999999; do
        run "$PITH" classify -m "$M" --shard "$s" -f x.txt
        [ "$status" = 2 ]
        [[ $output == *"expected I/N"* ]]
    done
    run "$PITH" classify -m "$M" --shard 1/2 good
    [ "$status" = 2 ]
    run "$PITH" classify -m "$M" --shard 1/2 -f x.txt -o x.json
    [ "$status" = 2 ]
    run "$PITH" classify -m "$M" --shard 1/2 -f <(cat x.txt)
    [ "$status" = 1 ]
    [[ $output == *"size must be known"* ]]
    printf '{"text":"a"}\n' >x.jsonl
    run "$PITH" classify -m "$M" --shard 1/2 -f x.jsonl -o x.csv
    [ "$status" = 1 ]
    run "$PITH" classify -m "$M" --mpi -f x.txt
    [ "$status" = 2 ]
}

@test "GNU parallel: --pipepart keeps the order" {
    command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q GNU || { echo "# skip: no GNU parallel"; skip "no GNU parallel"; }
    seq 400 | sed 's/.*/{"text": "& good plots"}/' >x.jsonl
    "$PITH" classify -q -m "$M" -f x.jsonl --json >whole.jsonl
    HOME=$PWD parallel --will-cite --pipepart -a x.jsonl --block -2 -j 2 -k "$PITH" classify -q -m "$M" --format jsonl --json -t 1 >out.jsonl
    cmp out.jsonl whole.jsonl
}

# A pith of its own, built with MPI once for the file.
with_mpi() {
    [ -n "${LONG:-}" ] || { echo "# skip: make test-long builds a pith with MPI"; skip "make test-long builds a pith with MPI"; }
    command -v mpirun >/dev/null && pkg-config --exists ompi-c || { echo "# skip: no Open MPI"; skip "no Open MPI"; }
    [ "${BUILD:-build}" = build ] || skip "only for the release build"
    make -s -C "$BATS_TEST_DIRNAME/.." MPI=1 BUILD=build/mpi build/mpi/pith >"$BATS_FILE_TMPDIR/log" 2>&1 || { cat "$BATS_FILE_TMPDIR/log"; return 1; }
    MPI_PITH=$BATS_TEST_DIRNAME/../build/mpi/pith
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_base_warn_component_unused=0
}

@test "mpirun: one file, whole; a killed process is gone on with" {
    with_mpi
    seq 300 | sed 's/.*/{"text": "& good plots"}/' >x.jsonl
    "$PITH" classify -q -m "$M" -f x.jsonl -o whole.jsonl
    mpirun -np 3 "$MPI_PITH" classify -q -m "$M" -f x.jsonl -o out.jsonl --mpi
    cmp out.jsonl whole.jsonl
    [ "$(ls out.jsonl*)" = out.jsonl ]
    # part 2 was killed in its middle, part 3 never came: the joined file is the old one, and --resume goes on
    echo old >out.jsonl
    "$PITH" classify -q -m "$M" -f x.jsonl --shard 2/3 -o part.jsonl
    head -c 1000 part.jsonl >out.jsonl.part-2-of-3
    mpirun -np 3 "$MPI_PITH" classify -m "$M" -f x.jsonl -o out.jsonl --mpi --resume 2>err
    grep -q 'going on after' err
    cmp out.jsonl whole.jsonl
    [ "$(ls out.jsonl*)" = out.jsonl ]
    # a row that fails in one process: no joined file from it
    echo old >out.jsonl
    echo '{"text": 1}' >>x.jsonl
    run mpirun -np 2 "$MPI_PITH" classify -m "$M" -f x.jsonl -o out.jsonl --mpi
    [ "$status" != 0 ]
    [ "$(cat out.jsonl)" = old ]
}

@test "mpirun: parts that cannot be joined stay beside the old file, and are joined by the next run" {
    with_mpi
    faults_need
    seq 300 | sed 's/.*/{"text": "& good plots"}/' >x.jsonl
    "$PITH" classify -q -m "$M" -f x.jsonl -o whole.jsonl
    job() { mpirun -np 1 "$@" "$MPI_PITH" classify -q -m "$M" -f x.jsonl -o out.jsonl --mpi; }
    for fault in "28 1 pwrite" "5 3 fsync" "28 2 rename"; do # the syncs and the rename before are the part's
        read -r errno at only <<<"$fault"
        echo old >out.jsonl
        run job env LD_PRELOAD="$FAULTS" PITH_SANDBOX=off FAULT_AT=$at FAULT_ERRNO=$errno FAULT_ONLY=$only FAULT_TOLD="$PWD/told"
        [ "$status" != 0 ] && [[ $output == *"pith classify: out.jsonl: cannot write: "* ]] || { echo "$fault: $status $output"; false; }
        [ "$(cat out.jsonl)" = old ]
        [ "$(ls -A | grep out)" = "$(printf 'out.jsonl\nout.jsonl.part-1-of-1')" ]
        job
        cmp out.jsonl whole.jsonl
        [ "$(ls -A | grep out)" = out.jsonl ]
    done
}

#!/bin/bash
# A Slurm array on one host: every task takes its part of a file, and a task that was killed is gone on with. Brings up its
# own Slurm (munged, slurmctld, slurmd) in a temporary folder, for which it has to be root. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
for tool in munged slurmctld slurmd sbatch; do
    PATH=$PATH:/usr/sbin command -v $tool >/dev/null || { echo "ok - a Slurm array # skip: no $tool (slurm-wlm)"; exit 0; }
done
[[ $(id -u) == 0 ]] || { echo "ok - a Slurm array # skip: only as root"; exit 0; }
export PATH=$PATH:/usr/sbin
pith=$(realpath "${PITH:-./pith}") sentiment=$PWD/models/bundled/sentiment failed=0
dir=$(mktemp -d /tmp/slurm.XXXXXX)
pids=
trap 'kill $pids 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
chmod 755 "$dir"
check() { if [[ $2 == 0 ]]; then echo "ok - $1"; else echo "not ok - $1"; tail -5 "$dir"/*.log 2>/dev/null | sed 's/^/#   /'; failed=1; fi; }

mkdir -m 700 "$dir/munge"
head -c 1024 /dev/urandom >"$dir/munge/key"
chmod 600 "$dir/munge/key"
mkdir -m 711 "$dir/run" && mkdir "$dir/state" "$dir/spool"
munged --foreground --force --key-file="$dir/munge/key" --socket="$dir/run/munge" --pid-file="$dir/run/munged.pid" \
    --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" >"$dir/munged.log" 2>&1 &
pids=$!
host=$(hostname -s)
port=$((20000 + RANDOM % 20000))
cat >"$dir/slurm.conf" <<C
ClusterName=pith
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge
CredType=cred/munge
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/run/ctld.pid
SlurmdPidFile=$dir/run/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
C
export SLURM_CONF=$dir/slurm.conf
for _ in $(seq 100); do [[ -S $dir/run/munge ]] && break; sleep 0.1; done
slurmctld -D -f "$dir/slurm.conf" >"$dir/ctld.log" 2>&1 &
pids="$pids $!"
slurmd -D -f "$dir/slurm.conf" -N "$host" >"$dir/slurmd.log" 2>&1 &
pids="$pids $!"
for _ in $(seq 300); do [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] && break; sleep 0.1; done
if [[ $(sinfo -h -o %T 2>/dev/null) != idle ]]; then
    echo "ok - a Slurm array # skip: Slurm does not come up here: $(tail -1 "$dir/ctld.log" | cut -c1-150)"
    exit 0
fi
cd "$dir" || exit 1
for i in $(seq 3000); do echo "{\"id\": $i, \"text\": \"film $i is good, the plot of number $i less so\"}"; done >rows.jsonl
"$pith" classify -q -m "$sentiment" -f rows.jsonl -o whole.jsonl
cat >job.sh <<J
#!/bin/bash
$pith classify -m $sentiment -t 1 -f rows.jsonl -o 'labels-{shard}.jsonl' --resume
J
sbatch -W --array=0-3 -o 'task-%a.log' job.sh >"$dir/sbatch.log" 2>&1
cat labels-?.jsonl 2>/dev/null | cmp -s - whole.jsonl
check "an array's parts, one after the other, are the whole" $?
grep -q 'shard 4 of 4' task-3.log
check "each task tells its part" $?
# A task that was killed in the middle of a line, and one that never wrote.
head -c 5001 labels-2.jsonl >half && mv half labels-2.jsonl
rm labels-4.jsonl
sbatch -W --array=0-3 -o 'task-%a.log' job.sh >"$dir/sbatch.log" 2>&1
cat labels-?.jsonl | cmp -s - whole.jsonl
check "the same command goes on after a killed task" $?
# One killed by Slurm itself.
rm -f labels-?.jsonl
id=$(sbatch --parsable --array=0-1 -o 'task-%a.log' job.sh)
for _ in $(seq 200); do [[ -s labels-1.jsonl ]] && break; sleep 0.02; done
scancel -s KILL "${id}_0"
for _ in $(seq 300); do [[ -z $(squeue -h) ]] && break; sleep 0.1; done
sbatch -W --array=0-1 -o 'task-%a.log' job.sh >"$dir/sbatch.log" 2>&1
cat labels-?.jsonl | cmp -s - whole.jsonl
check "and after one that Slurm killed" $?
exit $failed

#!/usr/bin/env bash
# Predict through a real SLURM on this one machine: install it with apt-get where it is missing, start it, predict with
# the same seed with and without it, let the program stop before its time limit, and let SLURM end jobs that go beyond their
# time or their memory.
#
# Needs root, and a Python environment with aiida-alphacrystal on the PATH. Says so and leaves with 77 where SLURM cannot
# be installed or started.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
chmod 755 "$work"

skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}

clean_up() {
    local name
    for name in slurmd slurmctld munged; do
        if [ -s "$work/$name.pid" ]; then kill "$(cat "$work/$name.pid")" 2>/dev/null || true; fi
    done
    rm -rf "$work" || true
}
trap clean_up EXIT

[ "$(id -u)" -eq 0 ] || skip 'SLURM can be started by root only'
if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
    apt-get update -q >"$work/apt.log" 2>&1 || skip "apt-get update failed: $(tail -n 1 "$work/apt.log")"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge >"$work/apt.log" 2>&1 ||
        skip "slurm-wlm cannot be installed: $(tail -n 1 "$work/apt.log")"
fi

cat >"$work/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
ReturnToService=2
KillWait=10
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
NodeName=localhost CPUs=$(nproc) RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
mkdir -p "$work/state" "$work/spool"

head -c 1024 /dev/urandom >"$work/munge.key"
chmod 600 "$work/munge.key"
munged --force --key-file="$work/munge.key" --socket="$work/munge.socket" --pid-file="$work/munged.pid" \
    --log-file="$work/munged.log" --seed-file="$work/munge.seed" ||
    skip "munged does not start: $(tail -n 1 "$work/munged.log")"
slurmctld || skip "slurmctld does not start: $(tail -n 1 "$work/slurmctld.log")"
slurmd -N localhost || skip "slurmd does not start: $(tail -n 1 "$work/slurmd.log")"
for _ in $(seq 30); do
    if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then break; fi
    sleep 1
done
sinfo --noheader --format=%T | grep -q idle || skip "the node does not become idle: $(tail -n 1 "$work/slurmd.log")"
sinfo --version
sinfo

export AIIDA_PATH=$work/aiida
mkdir -p "$AIIDA_PATH"
verdi presto --use-zeromq --non-interactive >/dev/null
python "$here/predict_on_slurm.py" "$work/jobs"

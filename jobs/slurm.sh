#!/bin/bash
# One Ray over a Slurm allocation, gone with it. Every word after the script's name goes to `mleg`:
#
#     export MLEG_STORAGE=/project/mleg      # a file system that all nodes share, or s3://
#     sbatch --nodes=8 --time=4:00:00 jobs/slurm.sh sample CHECKPOINT --events 1e9
#
# An allocation that ends too early loses nothing: the same command again completes the work.

#SBATCH --job-name=mleg
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=1:00:00
#SBATCH --output=mleg-%j.log

set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: sbatch [--nodes=N] jobs/slurm.sh COMMAND OF MLEG..." >&2
    exit 2
fi
: "${MLEG_STORAGE:?must name a place that all nodes reach}"

# Where `make install` put it, unless an environment is active already.
if [ -z "${VIRTUAL_ENV:-}" ] && [ -f .venv/bin/activate ]; then
    source .venv/bin/activate
fi

# Not `| head -n 1`: a writer that is still writing dies of a closed pipe, and so would the job.
names=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
addresses=$(srun --nodes=1 --ntasks=1 --nodelist="${names%%$'\n'*}" hostname --ip-address)
export ADDRESS="${addresses%% *}:$((20000 + SLURM_JOB_ID % 10000))"

# The network of a batch system is shared: only who knows the token can give this Ray work.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0

# On every node: the first one becomes Ray's head and runs `mleg`, the others work for it.
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" bash -c '
    exec ray symmetric-run --address "$ADDRESS" --min-nodes "$SLURM_JOB_NUM_NODES" \
        --num-cpus "$SLURM_CPUS_ON_NODE" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
        -- env RAY_ADDRESS="$ADDRESS" mleg "$@"' mleg "$@"

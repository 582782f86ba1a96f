#!/bin/bash
#SBATCH --job-name=vae
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=96
#SBATCH --mem=0
#SBATCH --time=1-00:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --account='lab one'
#SBATCH --partition=batch,long
#SBATCH --qos=high
#SBATCH --constraint='a100&nvme "fast"'
#SBATCH --mail-user=a@example.org
#SBATCH --mail-type=END,FAIL
#SBATCH --reservation='week 3'
#SBATCH --no-kill
#SBATCH --output=job-%j.log

# Written by slurm_launch. One slot of the run: finds out how the one before it ended, has SLURM wait with the
# next one for the end of this job, and trains. slots.jsonl beside this file says what was done.
export NCCL_DEBUG=WARN
export PROMPT='it'\''s $(touch marker)
#SBATCH --nodes=9'
cd -- /work || exit 6
exec /opt/cubist/slurm_launch slot /work/runs/vae -- \
  srun --nodes=4 --ntasks-per-node=1 --label --kill-on-bad-exit=0 --cpu-bind=none --cpus-per-task=96 \
  /opt/cubist/train /work/runs/vae/slurm/config.textproto \
  --run_dir /work/runs/vae \
  --wname vae --gpus 8

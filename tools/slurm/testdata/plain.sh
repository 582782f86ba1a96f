#!/bin/bash
#SBATCH --job-name=vae
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=job-%j.log

# Written by slurm_launch. One slot of the run: finds out how the one before it ended, has SLURM wait with the
# next one for the end of this job, and trains. slots.jsonl beside this file says what was done.
cd -- /work || exit 6
exec /opt/cubist/slurm_launch slot /work/runs/vae -- \
  srun --nodes=2 --ntasks-per-node=1 --label --kill-on-bad-exit=0 --cpu-bind=none \
  /opt/cubist/train /work/runs/vae/slurm/config.textproto \
  --run_dir /work/runs/vae \
  --wname vae --gpus 8

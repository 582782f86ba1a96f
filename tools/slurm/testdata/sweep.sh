#!/bin/bash
#SBATCH --job-name=vae_sweep
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --array=0-1%2
#SBATCH --output=job-%A_%a.log

# Written by slurm_launch. The first slots of a sweep: each task of the array is one run, whose own script has
# its later slots.
runs=(
  /work/runs/vae
  '/work/runs/it'\''s $(touch marker)'
)
run="${runs[SLURM_ARRAY_TASK_ID]}"
cd -- "${run}/slurm" || exit 6
exec bash ./slot.sh

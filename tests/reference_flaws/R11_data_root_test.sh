#!/bin/bash
# R11: the reference finds an attribute's archive by replacing "pose" in a whole path. A data folder whose path holds
# the names of attributes trains, and gives the same numbers as any other.
source "$(dirname "$0")/../end_to_end/harness.sh"

expect 0 "${train}" "${tiny}" --max_steps 2 --wname plain
for root in pose/pc_pose_data intrinsic/static_object_info/pose 'my pose.tar/3d_road_line_voxelsize_025'; do
  mkdir -p "$(dirname "${root}")"
  cp -r data "${root}"
  rm -rf runs/words
  expect 0 "${train}" "${tiny}" --max_steps 2 --wname words --data_root "${root}"
  same_checkpoint runs/plain runs/words 000000002
done

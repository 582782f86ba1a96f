#include "data_process/metadata/metadata_flags.h"

#include "base/status.h"
#include "configs/message_flags.h"

namespace cubist {
namespace {

constexpr char kDescription[] =
    "Writes metadata.csv, the table that the video model trains by: each video with its prompt and guidance buffers.";

constexpr char kFooter[] = R"(Examples:
  generate_metadata_csv --data_root data/ --input_attribute video_480p_front --output_attribute metadata.csv
  # without the clips that models are validated on, and the rest although some files are damaged
  generate_metadata_csv --assets_root infinicube/assets --leave_out_bad --report left_out.json \
      --holdout infinicube/assets/waymo_split/official_val_w_dynamic_w_ego_motion_gt_30m_good_voxel.json

Exit codes: 0 the CSV is written, or with --dry_run could be; 2 bad flag or config; 3 a list, folder or file is missing or
damaged, or nothing matched; 6 the CSV cannot be written; 70 a bug in Cubist; 75 stopped, nothing was written.)";

}  // namespace

absl::StatusOr<MetadataFlags> ParseMetadataFlags(int argc, const char* const* argv) {
  const MessageProgram program = {"generate_metadata_csv",
                                  kDescription,
                                  kFooter,
                                  "configs/proto/metadata.proto",
                                  38,
                                  {{"--data_root", "data_root", "DIR", true},
                                   {"--input_attribute,--video_subdir", "input_attribute", "NAME"},
                                   {"--output_attribute", "output_attribute", "NAME"},
                                   {"--caption_subdir", "caption_attribute", "NAME"},
                                   {"--allowed_clips_json", "allowed_clips_json", "FILE", true},
                                   {"--assets_root", "assets_root", "DIR", true},
                                   {"--all_clips", "all_clips", ""},
                                   {"--holdout", "holdout", "FILE", true},
                                   {"--limit", "limit", "N"},
                                   {"--strict,!--no_strict", "strict", ""},
                                   {"--leave_out_bad", "leave_out_bad", ""},
                                   {"--instance_buffer", "instance_buffer", ""},
                                   {"--report", "report", "FILE", true},
                                   {"--dry_run", "dry_run", ""},
                                   {"--threads", "threads", "N"}}};
  MetadataFlags flags;
  ASSIGN_OR_RETURN(flags.help, ParseMessageFlags(argc, argv, program, &flags.options));
  return flags;
}

}  // namespace cubist

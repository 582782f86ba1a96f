// Contact sheets: a row of pictures a frame.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_CONTACT_SHEET_H_
#define CUBIST_DATA_PROCESS_INSPECTION_CONTACT_SHEET_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/host_tensor.h"
#include "data_process/inspection/clip_pictures.h"
#include "data_process/inspection/data_tree.h"

namespace cubist {

struct SheetRow {
  std::string clip;
  int64_t frame = -1;  // -1: the clip has none
  std::array<ClipPicture, 3> panels;
};

// The rows of a clip: its first, middle and last frame, or only the middle one. A clip without frames has one row of
// empty panels. What is larger than `limits` is not drawn.
std::vector<SheetRow> SheetRows(const DataTree& tree, const std::string& clip, bool only_middle,
                                const ReadLimits& limits);

// One row below the other, with the clip and frame above and the attribute below each picture, a scale in metres beside
// depth, and a legend of the classes' colours; in place of a picture that is missing stands why. uint8 [H,W,3].
HostTensor DrawContactSheet(const std::vector<SheetRow>& rows);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_CONTACT_SHEET_H_

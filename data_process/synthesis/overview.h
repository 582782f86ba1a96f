// Pictures of synthetic clips from above, for the eye.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_OVERVIEW_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_OVERVIEW_H_

#include <vector>

#include "base/host_tensor.h"
#include "data_process/synthesis/clip_attributes.h"

namespace cubist {

// The clip's points from above, coloured by class and shaded by height: the street from left to right, moving
// objects where they are in the middle of the clip, the ego vehicle's way as a line. uint8 [H,W,3], 4 pixels
// a metre unless that is wider than 1600 pixels.
HostTensor RenderOverview(const ClipContent& content);

// The pictures below each other in two columns, on a dark ground; uint8 [H,W,3]. At most the first 12.
// `pictures` holds at least one.
HostTensor ContactSheet(const std::vector<HostTensor>& pictures);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_OVERVIEW_H_

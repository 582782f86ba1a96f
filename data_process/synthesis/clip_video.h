// Videos of synthetic clips by FFmpeg. Only for programs in data_process.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_VIDEO_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_VIDEO_H_

#include "data_process/synthesis/clip_images.h"

namespace cubist {

// H.264 at ten frames a second with the settings of the reference's videos (formats/video.h), but x264's preset
// "superfast". Errors of the opener and of what it opens: those of VideoWriter.
ClipVideoOpener FfmpegClipVideos();

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_VIDEO_H_

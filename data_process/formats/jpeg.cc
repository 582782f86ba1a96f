#include "data_process/formats/jpeg.h"

// libjpeg's header needs FILE and size_t before it.
#include <cstddef>
#include <cstdio>
//
#include <jpeglib.h>

#include <csetjmp>
#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

// More than any encoder makes (libjpeg's longest script has ten); each scan of a progressive file costs a pass over the
// whole image, however few bytes it has.
constexpr int kMaxScans = 100;

// libjpeg reports errors by a function that may not return, and we leave it by longjmp. Each function below that arms
// one therefore holds nothing but plain pointers and numbers, and calls nothing of ours that owns memory; what must
// survive a jump lives in its caller.
struct Errors {
  jpeg_error_mgr manager;  // first: libjpeg hands its address back
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void OnError(j_common_ptr session) {
  auto* errors = reinterpret_cast<Errors*>(session->err);
  errors->manager.format_message(session, errors->message);
  std::longjmp(errors->jump, 1);
}

// Warnings (level -1) are of damaged files: libjpeg would go on with grey where data is missing.
void OnMessage(j_common_ptr session, int level) {
  if (level < 0) OnError(session);
}

void Arm(Errors* errors) {
  jpeg_std_error(&errors->manager);
  errors->manager.error_exit = OnError;
  errors->manager.emit_message = OnMessage;
  errors->message[0] = '\0';
}

struct Decoder {
  jpeg_decompress_struct session;
  Errors errors;
  jpeg_progress_mgr progress;
};

void OnProgress(j_common_ptr session) {
  if (reinterpret_cast<j_decompress_ptr>(session)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<Errors*>(session->err);
  std::snprintf(errors->message, sizeof(errors->message), "more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

bool Create(Decoder* decoder) {
  if (setjmp(decoder->errors.jump) != 0) return false;
  jpeg_create_decompress(&decoder->session);
  return true;
}

// All that precedes the pixels. Returns false, with a message, on an error.
bool ReadHeader(Decoder* decoder, const unsigned char* bytes, size_t size, int64_t max_pixels) {
  jpeg_decompress_struct* session = &decoder->session;
  char* message = decoder->errors.message;
  if (setjmp(decoder->errors.jump) != 0) return false;
  jpeg_mem_src(session, bytes, size);
  decoder->progress.progress_monitor = OnProgress;
  session->progress = &decoder->progress;
  jpeg_read_header(session, TRUE);
  const int64_t pixels = int64_t{session->image_width} * session->image_height;
  if (pixels > max_pixels) {
    std::snprintf(message, JMSG_LENGTH_MAX, "%ux%u pixels are more than the limit of %lld", session->image_width,
                  session->image_height, static_cast<long long>(max_pixels));
    return false;
  }
  if (session->jpeg_color_space == JCS_CMYK || session->jpeg_color_space == JCS_YCCK) {
    std::snprintf(message, JMSG_LENGTH_MAX, "CMYK is not supported: convert it to RGB");
    return false;
  }
  if (session->jpeg_color_space != JCS_GRAYSCALE && session->jpeg_color_space != JCS_RGB &&
      session->jpeg_color_space != JCS_YCbCr) {
    std::snprintf(message, JMSG_LENGTH_MAX, "%d channels of an unknown colour space", session->num_components);
    return false;
  }
  session->out_color_space = session->jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
  session->dct_method = JDCT_ISLOW;
  // Progressive files are held as coefficients, six bytes a pixel and those of a few rows of blocks; beyond that
  // libjpeg would look for a temporary file, which it has not been built with: an error.
  session->mem->max_memory_to_use = static_cast<long>(pixels * 16 + (int64_t{64} << 20));
  return true;
}

bool ReadPixels(Decoder* decoder, unsigned char* pixels, size_t row_bytes) {
  jpeg_decompress_struct* session = &decoder->session;
  if (setjmp(decoder->errors.jump) != 0) return false;
  jpeg_start_decompress(session);
  while (session->output_scanline < session->output_height) {
    JSAMPROW row = pixels + session->output_scanline * row_bytes;
    jpeg_read_scanlines(session, &row, 1);
  }
  jpeg_finish_decompress(session);  // up to and with the end marker
  return true;
}

struct Encoder {
  jpeg_compress_struct session;
  Errors errors;
  unsigned char* output = nullptr;  // by malloc
  unsigned long size = 0;
};

bool Write(Encoder* encoder, const unsigned char* pixels, int width, int height, int channels, int quality) {
  jpeg_compress_struct* session = &encoder->session;
  if (setjmp(encoder->errors.jump) != 0) return false;
  jpeg_create_compress(session);
  jpeg_mem_dest(session, &encoder->output, &encoder->size);
  session->image_width = static_cast<JDIMENSION>(width);
  session->image_height = static_cast<JDIMENSION>(height);
  session->input_components = channels;
  session->in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(session);
  jpeg_set_quality(session, quality, TRUE);
  jpeg_start_compress(session, TRUE);
  while (session->next_scanline < session->image_height) {
    // libjpeg only reads the row; its interface lacks the const.
    JSAMPROW row =
        const_cast<unsigned char*>(pixels) + size_t{session->next_scanline} * static_cast<size_t>(width * channels);
    jpeg_write_scanlines(session, &row, 1);
  }
  jpeg_finish_compress(session);
  return true;
}

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "FormatJpeg: %s\n", message.c_str());
  std::abort();
}

}  // namespace

absl::StatusOr<HostTensor> ParseJpeg(std::string_view bytes, std::string_view what, const ImageLimits& limits) {
  Decoder decoder = {};
  jpeg_decompress_struct& session = decoder.session;
  Arm(&decoder.errors);
  session.err = &decoder.errors.manager;
  if (!Create(&decoder)) return InternalError(decoder.errors.message);
  const auto destroy = [](jpeg_decompress_struct* used) { jpeg_destroy_decompress(used); };
  const std::unique_ptr<jpeg_decompress_struct, decltype(destroy)> owner(&session, destroy);
  const auto fault = [&] {
    return DataError(absl::StrCat(absl::string_view(what.data(), what.size()), ": JPEG: ", decoder.errors.message));
  };
  const auto* input = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!ReadHeader(&decoder, input, bytes.size(), limits.max_pixels)) return fault();
  std::vector<int64_t> shape = {session.image_height, session.image_width};
  if (session.out_color_space == JCS_RGB) shape.push_back(3);
  HostTensor image(DType::kUInt8, shape);
  const size_t row_bytes = image.byte_size() / session.image_height;
  if (!ReadPixels(&decoder, image.data<uint8_t>(), row_bytes)) return fault();
  return image;
}

std::string FormatJpeg(const HostTensor& image, int quality) {
  const std::vector<int64_t>& shape = image.shape();
  const bool grey = shape.size() == 2;
  const bool known = image.dtype() == DType::kUInt8 && (grey || (shape.size() == 3 && shape[2] == 3));
  if (!known || shape[0] < 1 || shape[1] < 1 || shape[0] > JPEG_MAX_DIMENSION || shape[1] > JPEG_MAX_DIMENSION) {
    Fail(absl::StrCat(image.Describe(), " is no image that is written as JPEG"));
  }
  if (quality < 1 || quality > 100) Fail(absl::StrCat("quality ", quality, " is not between 1 and 100"));
  Encoder encoder = {};
  Arm(&encoder.errors);
  encoder.session.err = &encoder.errors.manager;
  const bool written = Write(&encoder, image.data<uint8_t>(), static_cast<int>(shape[1]), static_cast<int>(shape[0]),
                             grey ? 1 : 3, quality);
  if (!written) Fail(encoder.errors.message);
  std::string output(reinterpret_cast<const char*>(encoder.output), encoder.size);
  jpeg_destroy_compress(&encoder.session);
  std::free(encoder.output);
  return output;
}

}  // namespace cubist

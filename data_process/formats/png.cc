#include "data_process/formats/png.h"

#include <png.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

// libpng reports errors by longjmp. Each function below that arms one therefore holds nothing but plain pointers and
// numbers, and calls nothing of ours that owns memory; what must survive a jump lives in its caller.
struct Session {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const char* input = nullptr;
  size_t size = 0;
  size_t at = 0;
  char message[200] = {};
  // Filled by ReadHeader.
  png_uint_32 width = 0;
  png_uint_32 height = 0;
  int bit_depth = 0;  // as the pixels come out: 1, 8 or 16
  int channels = 0;
  int passes = 0;  // over the rows
  size_t row_bytes = 0;
  size_t packed_row_bytes = 0;  // as they are compressed, but for the filter's byte
};

void OnError(png_structp png, png_const_charp message) {
  auto* session = static_cast<Session*>(png_get_error_ptr(png));
  std::snprintf(session->message, sizeof(session->message), "%s", message);
  longjmp(png_jmpbuf(png), 1);
}

void OnWarning(png_structp, png_const_charp) {}

void OnRead(png_structp png, png_bytep target, size_t size) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  if (size > session->size - session->at) png_error(png, "truncated");
  std::memcpy(target, session->input + session->at, size);
  session->at += size;
}

// Appending may not throw through libpng's frames: the caller has reserved enough.
void OnWrite(png_structp png, png_bytep bytes, size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(bytes), size);
}

void OnFlush(png_structp) {}

class ReadSession : public Session {
 public:
  explicit ReadSession(std::string_view bytes) {
    input = bytes.data();
    size = bytes.size();
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<Session*>(this), OnError, OnWarning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~ReadSession() { png_destroy_read_struct(&png, &info, nullptr); }
  ReadSession(const ReadSession&) = delete;
  ReadSession& operator=(const ReadSession&) = delete;
};

// Everything up to the pixels, and the transformations to whole bytes.
bool ReadHeader(Session* session, int64_t max_pixels) {
  if (setjmp(png_jmpbuf(session->png)) != 0) return false;
  png_set_read_fn(session->png, session, OnRead);
  png_set_user_limits(session->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the product counts: below
  png_set_chunk_malloc_max(session->png, png_alloc_size_t{8} << 20);
  png_set_chunk_cache_max(session->png, 128);
  // Text, profiles and the like are not wanted, and so not unpacked.
  png_set_keep_unknown_chunks(session->png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
  png_read_info(session->png, session->info);
  session->width = png_get_image_width(session->png, session->info);
  session->height = png_get_image_height(session->png, session->info);
  // libpng's own rows are allocated from here on.
  if (int64_t{session->width} * session->height > max_pixels) {
    std::snprintf(session->message, sizeof(session->message), "%ux%u pixels are more than the limit of %lld",
                  session->width, session->height, static_cast<long long>(max_pixels));
    return false;
  }
  const int depth = png_get_bit_depth(session->png, session->info);
  const int colour = png_get_color_type(session->png, session->info);
  session->packed_row_bytes = png_get_rowbytes(session->png, session->info);
  if (colour == PNG_COLOR_TYPE_PALETTE) {
    png_set_palette_to_rgb(session->png);
    if (png_get_valid(session->png, session->info, PNG_INFO_tRNS) != 0) png_set_tRNS_to_alpha(session->png);
  } else if (colour == PNG_COLOR_TYPE_GRAY && depth == 1) {
    png_set_packing(session->png);  // one byte a pixel, 0 or 1
  } else if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) {
    png_set_expand_gray_1_2_4_to_8(session->png);
  }
  if (depth == 16) png_set_swap(session->png);  // PNG is big-endian
  session->passes = png_set_interlace_handling(session->png);
  png_read_update_info(session->png, session->info);
  session->channels = png_get_channels(session->png, session->info);
  session->row_bytes = png_get_rowbytes(session->png, session->info);
  session->bit_depth = colour == PNG_COLOR_TYPE_GRAY && depth == 1 ? 1 : depth == 16 ? 16 : 8;
  return true;
}

bool ReadPixels(Session* session, png_bytep pixels) {
  if (setjmp(png_jmpbuf(session->png)) != 0) return false;
  for (int pass = 0; pass < session->passes; ++pass) {
    for (png_uint_32 y = 0; y < session->height; ++y) {
      png_read_row(session->png, pixels + y * session->row_bytes, nullptr);
    }
  }
  png_read_end(session->png, nullptr);
  return true;
}

struct WriteRequest {
  png_uint_32 width;
  png_uint_32 height;
  int bit_depth;
  int colour;
  png_const_bytep pixels;
  size_t row_bytes;
  std::string* output;
};

bool Write(Session* session, const WriteRequest* request) {
  if (setjmp(png_jmpbuf(session->png)) != 0) return false;
  png_set_write_fn(session->png, request->output, OnWrite, OnFlush);
  png_set_IHDR(session->png, session->info, request->width, request->height, request->bit_depth, request->colour,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(session->png, session->info);
  if (request->bit_depth == 1) png_set_packing(session->png);
  if (request->bit_depth == 16) png_set_swap(session->png);
  for (png_uint_32 y = 0; y < request->height; ++y) {
    png_write_row(session->png, request->pixels + y * request->row_bytes);
  }
  png_write_end(session->png, nullptr);
  return true;
}

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "FormatPng: %s\n", message.c_str());
  std::abort();
}

}  // namespace

absl::StatusOr<HostTensor> ParsePng(std::string_view bytes, std::string_view what_view, const ImageLimits& limits) {
  const std::string what(what_view);
  ReadSession session(bytes);
  if (session.info == nullptr) return InternalError(absl::StrCat(what, ": no memory for libpng"));
  const auto fault = [&] {
    return DataError(absl::StrCat(what, ": PNG at offset ", session.at, ": ", session.message));
  };
  if (!ReadHeader(&session, limits.max_pixels)) return fault();
  std::vector<int64_t> shape = {session.height, session.width};
  if (session.channels > 1) shape.push_back(session.channels);
  const DType dtype = session.bit_depth == 1 ? DType::kBool : session.bit_depth == 16 ? DType::kUInt16 : DType::kUInt8;
  if (session.packed_row_bytes * session.height / kMaxDeflateRatio > bytes.size()) {
    return DataError(absl::StrCat(what, ": PNG of ", session.width, "x", session.height, " pixels cannot lie in ",
                                  bytes.size(), " bytes: truncated or damaged"));
  }
  HostTensor image(dtype, shape);
  if (session.row_bytes * session.height != image.byte_size()) {
    return InternalError(absl::StrCat(what, ": PNG rows of another size"));
  }
  if (!ReadPixels(&session, reinterpret_cast<png_bytep>(image.bytes()))) return fault();
  return image;
}

std::string FormatPng(const HostTensor& image) {
  const std::vector<int64_t>& shape = image.shape();
  const bool grey = shape.size() == 2;
  const bool known = image.dtype() == DType::kUInt8
                         ? grey || (shape.size() == 3 && shape[2] == 3)
                         : grey && (image.dtype() == DType::kUInt16 || image.dtype() == DType::kBool);
  if (!known || shape[0] < 1 || shape[1] < 1 || shape[0] > 0x7fffffff || shape[1] > 0x7fffffff) {
    Fail(absl::StrCat(image.Describe(), " is no image that is written as PNG"));
  }
  std::string output;
  // Deflate stores what it cannot compress: at most some thousandths more, and a chunk header every 8 KiB.
  output.reserve(image.byte_size() + image.byte_size() / 64 + static_cast<size_t>(shape[0]) * 2 + 4096);
  Session session;
  session.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &session, OnError, OnWarning);
  if (session.png != nullptr) session.info = png_create_info_struct(session.png);
  if (session.info == nullptr) Fail("no memory for libpng");
  WriteRequest request;
  request.width = static_cast<png_uint_32>(shape[1]);
  request.height = static_cast<png_uint_32>(shape[0]);
  request.bit_depth = image.dtype() == DType::kBool ? 1 : image.dtype() == DType::kUInt16 ? 16 : 8;
  request.colour = grey ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
  request.pixels = reinterpret_cast<png_const_bytep>(image.bytes());
  request.row_bytes = image.byte_size() / static_cast<size_t>(shape[0]);
  request.output = &output;
  const bool written = Write(&session, &request);
  png_destroy_write_struct(&session.png, &session.info);
  if (!written) Fail(session.message);
  return output;
}

}  // namespace cubist

#include "data_process/inspection/contact_sheet.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "data_process/scenes/semantic_classes.h"

namespace cubist {
namespace {

// Half of 832 x 480, the size of the data's images.
constexpr int kPanelWidth = 416, kPanelHeight = 240;
constexpr int kMargin = 12, kHeadHeight = 24, kFootHeight = 20, kLegendHeight = 30, kScaleWidth = 40;
const cv::Scalar kBackground(24, 26, 32), kPanel(40, 43, 52), kText(236, 238, 242), kFaint(150, 156, 168);
constexpr double kTextSize = 0.45, kSmallTextSize = 0.38;

void Write(cv::Mat& sheet, const std::string& text, int x, int y, double size, const cv::Scalar& colour) {
  cv::putText(sheet, text, {x, y}, cv::FONT_HERSHEY_SIMPLEX, size, colour, 1, cv::LINE_AA);
}

int WidthOf(const std::string& text, double size) {
  return cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, size, 1, nullptr).width;
}

// Cut to what is `width` wide.
std::string Fitting(std::string text, double size, int width) {
  if (WidthOf(text, size) <= width) return text;
  while (!text.empty() && WidthOf(text + "...", size) > width) text.pop_back();
  return text + "...";
}

// Lines of whole words, each at most `width` wide, at most `most` of them.
std::vector<std::string> Wrap(const std::string& text, double size, int width, size_t most) {
  std::vector<std::string> lines = {""};
  for (const auto word : absl::StrSplit(text, ' ')) {
    const std::string longer = absl::StrCat(lines.back(), lines.back().empty() ? "" : " ", word);
    if (WidthOf(longer, size) <= width || lines.back().empty()) {
      lines.back() = longer;
    } else {
      lines.emplace_back(word);
    }
  }
  if (lines.size() > most) {
    lines.resize(most);
    lines.back() += " ...";
  }
  for (std::string& line : lines) line = Fitting(line, size, width);
  return lines;
}

// At the panel's right border, kScaleWidth wide.
void DrawDepthScale(double metres, cv::Mat panel) {
  constexpr int kBarWidth = 10, kTop = 22, kBottom = 16;
  const int left = panel.cols - kScaleWidth + 6, height = panel.rows - kTop - kBottom;
  HostTensor ramp(DType::kUInt16, {height, kBarWidth});
  for (int y = 0; y < height; ++y) {
    // 0 means that nothing was hit.
    const double centimetres = std::max(1.0, 100 * metres * y * y / ((height - 1) * (height - 1)));
    std::fill_n(ramp.data<uint16_t>() + int64_t{y} * kBarWidth, kBarWidth, static_cast<uint16_t>(centimetres));
  }
  HostTensor colours = ColourDepth(ramp);
  cv::Mat(height, kBarWidth, CV_8UC3, colours.bytes()).copyTo(panel(cv::Rect(left, kTop, kBarWidth, height)));
  constexpr int kSteps = 4;
  for (int step = 0; step <= kSteps; ++step) {
    const int y = kTop + (height - 1) * step / kSteps;
    Write(panel, absl::StrFormat("%.0f", metres * step * step / (kSteps * kSteps)), left + kBarWidth + 4, y + 4,
          kSmallTextSize * 0.9, kText);
  }
  Write(panel, "m", left, kTop - 5, kSmallTextSize * 0.9, kText);
}

void DrawPanel(const ClipPicture& picture, cv::Mat& sheet, int x, int y) {
  cv::Mat panel = sheet(cv::Rect(x, y, kPanelWidth, kPanelHeight));
  panel.setTo(kPanel);
  if (picture.pixels.size() == 0) {
    int line_y = kPanelHeight / 2 - 14;
    for (const std::string& line : Wrap(picture.reason, kTextSize, kPanelWidth - 40, 5)) {
      Write(panel, line, (kPanelWidth - WidthOf(line, kTextSize)) / 2, line_y, kTextSize, kFaint);
      line_y += 18;
    }
  } else {
    HostTensor pixels = picture.pixels;
    const int height = static_cast<int>(pixels.shape()[0]), width = static_cast<int>(pixels.shape()[1]);
    const cv::Mat image(height, width, CV_8UC3, pixels.bytes());
    // The whole picture in its own proportions, beside its scale.
    const int free_width = kPanelWidth - (picture.metres > 0 ? kScaleWidth : 0);
    const double scale = std::min(1.0 * free_width / width, 1.0 * kPanelHeight / height);
    const cv::Size size(std::clamp(cvRound(width * scale), 1, free_width),
                        std::clamp(cvRound(height * scale), 1, kPanelHeight));
    cv::Mat scaled;
    // Depths of two surfaces do not mix into a third one.
    const int smooth = scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR;
    cv::resize(image, scaled, size, 0, 0, picture.metres > 0 ? cv::INTER_NEAREST : smooth);
    scaled.copyTo(
        panel(cv::Rect((free_width - size.width) / 2, (kPanelHeight - size.height) / 2, size.width, size.height)));
    if (picture.metres > 0) DrawDepthScale(picture.metres, panel);
  }
  Write(sheet, Fitting(picture.title, kSmallTextSize, kPanelWidth), x, y + kPanelHeight + 14, kSmallTextSize, kFaint);
}

void DrawLegend(cv::Mat& sheet, int y) {
  static constexpr SemanticClass kShown[] = {
      SemanticClass::kRoad,      SemanticClass::kLaneMarker, SemanticClass::kCurb, SemanticClass::kSidewalk,
      SemanticClass::kBuilding,  SemanticClass::kVegetation, SemanticClass::kCar,  SemanticClass::kPedestrian,
      SemanticClass::kBicyclist, SemanticClass::kSign,       SemanticClass::kPole,
  };
  int x = kMargin;
  for (const SemanticClass shown : kShown) {
    const SemanticClassInfo& info = kSemanticClasses[static_cast<size_t>(shown)];
    cv::rectangle(sheet, cv::Rect(x, y + 4, 12, 12), cv::Scalar(info.colour[0], info.colour[1], info.colour[2]),
                  cv::FILLED);
    std::string name(info.name);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c == '_' ? ' ' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    Write(sheet, name, x + 17, y + 14, kSmallTextSize, kFaint);
    x += 17 + WidthOf(name, kSmallTextSize) + 18;
  }
}

}  // namespace

std::vector<SheetRow> SheetRows(const DataTree& tree, const std::string& clip, bool only_middle,
                                const ReadLimits& limits) {
  const ClipPictures pictures(tree, clip, limits);
  const std::vector<int64_t>& frames = pictures.frames();
  std::vector<SheetRow> rows;
  if (frames.empty()) {
    SheetRow row;
    row.clip = clip;
    for (ClipPicture& panel : row.panels) panel.reason = "no poses, images or videos";
    rows.push_back(std::move(row));
    return rows;
  }
  std::set<int64_t> chosen = {frames[frames.size() / 2]};
  if (!only_middle) chosen.insert({frames.front(), frames.back()});
  for (const int64_t frame : chosen) {
    rows.push_back({clip, frame, {pictures.Front(frame), pictures.BirdsEye(frame), pictures.Depth(frame)}});
  }
  return rows;
}

HostTensor DrawContactSheet(const std::vector<SheetRow>& rows) {
  constexpr int kRowHeight = kHeadHeight + kPanelHeight + kFootHeight;
  const int width = 3 * kPanelWidth + 4 * kMargin;
  const int height = kMargin + static_cast<int>(rows.size()) * (kRowHeight + kMargin) + kLegendHeight;
  HostTensor picture(DType::kUInt8, {height, width, 3});
  cv::Mat sheet(height, width, CV_8UC3, picture.bytes());
  sheet.setTo(kBackground);
  int y = kMargin;
  for (const SheetRow& row : rows) {
    const std::string head = row.frame < 0 ? row.clip : absl::StrCat(row.clip, "   frame ", row.frame);
    Write(sheet, Fitting(head, kTextSize, width - 2 * kMargin), kMargin, y + 15, kTextSize, kText);
    int x = kMargin;
    for (const ClipPicture& panel : row.panels) {
      DrawPanel(panel, sheet, x, y + kHeadHeight);
      x += kPanelWidth + kMargin;
    }
    y += kRowHeight + kMargin;
  }
  DrawLegend(sheet, y);
  return picture;
}

}  // namespace cubist

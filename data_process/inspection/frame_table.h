// Which frames the archives and videos of a clip have, and which of them some lack.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_FRAME_TABLE_H_
#define CUBIST_DATA_PROCESS_INSPECTION_FRAME_TABLE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace cubist {

struct FrameRange {
  int64_t first = 0, last = 0;  // inclusive
};

struct MissingFrames {
  std::string clip, attribute;
  std::string series;  // what follows the number in members' names: "pose.front.npy"; of a video nothing
  std::vector<FrameRange> ranges;
};

class FrameTable {
 public:
  // What an archive or video that could be read whole has: frames, ascending, by series. An archive without frames is
  // added too: it lacks those that other clips have.
  void Add(const std::string& clip, const std::string& attribute,
           const std::map<std::string, std::vector<int64_t>>& frames);

  // A clip's frames run from the least to the greatest number that any of its series has. Each series that an attribute
  // has in any clip should have all of them in every clip that has the attribute. By clip, attribute and series.
  std::vector<MissingFrames> Missing() const;

 private:
  using Series = std::map<std::string, std::vector<FrameRange>>;
  std::map<std::string, std::map<std::string, Series>> clips_;  // by clip and attribute: ranges, ascending
  std::map<std::string, std::set<std::string>> series_;         // that an attribute has in any clip
};

// "3, 7..8 and 2 more".
std::string ListRanges(const std::vector<FrameRange>& ranges);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_FRAME_TABLE_H_

#include "base/data_place.h"

#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

void ExpectPlace(const absl::Status& status, const DataPlace& expected) {
  const std::optional<DataPlace> place = DataPlaceOf(status);
  ASSERT_TRUE(place.has_value()) << status;
  EXPECT_EQ(place->clip, expected.clip);
  EXPECT_EQ(place->attribute, expected.attribute);
  EXPECT_EQ(place->path, expected.path);
  EXPECT_EQ(place->member, expected.member);
  EXPECT_EQ(place->begin, expected.begin);
  EXPECT_EQ(place->end, expected.end);
}

absl::Status ThroughMacros(const absl::Status& status) {
  RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

TEST(DataPlaceTest, TravelsBesideExitCodeAndMessage) {
  const DataPlace place{"clip", "pose", "data/pose/clip.tar", "clip.000001.pose.front.npy", 512, 768};
  const absl::Status status = ThroughMacros(Annotate(WithDataPlace(DataError("not finite"), place), "rank 3"));
  EXPECT_EQ(status.message(), "rank 3: not finite");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  ExpectPlace(status, place);
  EXPECT_FALSE(DataPlaceOf(DataError("no place")).has_value());
  EXPECT_FALSE(DataPlaceOf(absl::OkStatus()).has_value());
  EXPECT_TRUE(WithDataPlace(absl::OkStatus(), place).ok());
  EXPECT_EQ(*WithDataPlace(absl::StatusOr<int>(3), place), 3);
  ExpectPlace(WithDataPlace(absl::StatusOr<int>(DataError("x")), place).status(), place);
}

TEST(DataPlaceTest, AnyBytesComeBackAsTheyWere) {
  std::string all;
  for (int byte = 255; byte >= 0; --byte) all += static_cast<char>(byte);
  for (const std::string& odd : {std::string(), std::string("\n"), std::string("a\nb\n1\n2"), std::string("\\n"),
                                 std::string("\\"), std::string("\0\0", 2),
                                 std::string("\x01"
                                             "1"),
                                 std::string("{\"a\": 1}"), std::string("\xff\xfe"), all}) {
    for (int field = 0; field < 4; ++field) {
      DataPlace place{"c", "a", "p", "m", 7, ~uint64_t{0}};
      (field == 0 ? place.clip : field == 1 ? place.attribute : field == 2 ? place.path : place.member) = odd;
      ExpectPlace(WithDataPlace(DataError("x"), place), place);
    }
    ExpectPlace(WithDataPlace(DataError("x"), {odd, odd, odd, odd, 0, 0}), {odd, odd, odd, odd, 0, 0});
  }
}

TEST(DataPlaceTest, TheInnerPlaceStays) {
  const DataPlace inner{"c", "", "p", "", 3, 4}, outer{"other", "other", "other", "other", 8, 9};
  ExpectPlace(WithDataPlace(WithDataPlace(DataError("x"), inner), outer), inner);
  // What reads a tar knows the file only, who asked for it whose it is.
  const DataPlace file{"", "", "p", "m", 3, 4};
  ExpectPlace(WithDataPlace(WithDataPlace(DataError("x"), file), {"clip", "pose", "q", "n", 8, 9}),
              {"clip", "pose", "p", "m", 3, 4});
  ExpectPlace(WithDataPlace(WithDataPlace(DataError("x"), {"", "pose", "p", "", 0, 0}), outer),
              {"other", "pose", "p", "", 0, 0});
}

}  // namespace
}  // namespace cubist

#include "data_process/synthesis/weather.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "nlohmann/json.hpp"

namespace cubist {
namespace {

bool Says(const std::string& caption, const std::vector<std::string>& words) {
  std::string lower = caption;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& w) { return lower.find(w) != std::string::npos; });
}

TEST(WeatherTest, CaptionsSayWhatIsRendered) {
  const std::map<SkyKind, std::vector<std::string>> skies = {
      {SkyKind::kClear, {"clear sky", "sky is clear", "cloudless"}},
      {SkyKind::kPartlyCloudy, {"scattered", "partly"}},
      {SkyKind::kOvercast, {"overcast"}},
      {SkyKind::kFoggy, {"fog"}},
      {SkyKind::kAfterRain, {"rain", "wet"}}};
  const std::map<Daytime, std::vector<std::string>> times = {{Daytime::kMorning, {"morning"}},
                                                             {Daytime::kMidday, {"midday"}},
                                                             {Daytime::kAfternoon, {"afternoon"}},
                                                             {Daytime::kEvening, {"evening"}},
                                                             {Daytime::kDusk, {"dusk"}}};
  ASSERT_EQ(skies.size(), static_cast<size_t>(kSkyKinds));
  ASSERT_EQ(times.size(), static_cast<size_t>(kDaytimes));
  std::set<std::string> different;
  for (const auto& [sky, sky_words] : skies) {
    for (const auto& [daytime, time_words] : times) {
      for (uint64_t clip = 0; clip < 20; ++clip) {
        RandomStream random(3, clip, SceneStream::kWeather);
        const Weather weather = MakeWeather(sky, daytime, random);
        const std::string caption = WeatherCaption(weather, RandomStream(3, clip, SceneStream::kCaption));
        different.insert(caption);
        for (const auto& [other, words] : skies) EXPECT_EQ(Says(caption, words), other == sky) << caption;
        for (const auto& [other, words] : times) EXPECT_EQ(Says(caption, words), other == daytime) << caption;
        EXPECT_EQ(Says(caption, {"shadow"}), weather.HasSun()) << caption;
        EXPECT_EQ(weather.HasSun(),
                  weather.to_sun.z() > 0 && (sky == SkyKind::kClear || sky == SkyKind::kPartlyCloudy));
        std::istringstream words(caption);
        EXPECT_LE(std::distance(std::istream_iterator<std::string>(words), {}), 40) << caption;
        EXPECT_EQ(caption.back(), '.');
        EXPECT_TRUE(std::isupper(static_cast<unsigned char>(caption[0]))) << caption;
      }
    }
  }
  EXPECT_GT(different.size(), 50u);
}

TEST(WeatherTest, AllKindsComeUpAndTheSunHasItsHeight) {
  std::set<std::pair<int, int>> kinds;
  for (uint64_t clip = 0; clip < 600; ++clip) {
    const Weather weather = MakeWeather(RandomStream(0, clip, SceneStream::kWeather));
    kinds.insert({static_cast<int>(weather.sky), static_cast<int>(weather.daytime)});
    EXPECT_NEAR(weather.to_sun.norm(), 1, 1e-12);
    EXPECT_EQ(weather.to_sun.z() < 0, weather.daytime == Daytime::kDusk);
    EXPECT_GT(weather.ambient.minCoeff(), 0);
  }
  EXPECT_EQ(kinds.size(), static_cast<size_t>(kSkyKinds * kDaytimes));
}

TEST(WeatherTest, CaptionsAreStoredAsPythonDoes) {
  EXPECT_EQ(CaptionJson("Fog."), "{\n    \"weather\": \"Fog.\"\n}");
  EXPECT_EQ(CaptionJson("caf\xc3\xa9"), "{\n    \"weather\": \"caf\\u00e9\"\n}");
}

}  // namespace
}  // namespace cubist

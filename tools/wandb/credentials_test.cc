#include "tools/wandb/credentials.h"

#include <map>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using ::testing::HasSubstr;

FileReader Files(std::map<std::string, std::string> files) {
  return [files](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  };
}

TEST(Credentials, DefaultsAreThePublicServerAndTheOnlineMode) {
  const auto read = ReadWandbCredentials({}, Files({}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->mode, WandbMode::kOnline);
  EXPECT_EQ(read->base_url, "https://api.wandb.ai");
  EXPECT_EQ(read->app_url, "https://wandb.ai");
  EXPECT_EQ(read->api_key + read->entity + read->project + read->folder, "");
}

TEST(Credentials, WithoutKeyTheWaysOutAreNamed) {
  WandbCredentials credentials = *ReadWandbCredentials({{"WANDB_BASE_URL", "https://api.some.where/"}}, Files({}));
  const absl::Status status = CheckKeyForLogging(credentials);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--logger_type none"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("WANDB_MODE=offline"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("machine api.some.where "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("https://app.some.where/authorize"));
  credentials.mode = WandbMode::kOffline;
  EXPECT_TRUE(CheckKeyForLogging(credentials).ok());
  EXPECT_EQ(ExitCodeOf(CheckKeyForServer(credentials)), ExitCode::kConfig);
  credentials.api_key = "k";
  EXPECT_TRUE(CheckKeyForServer(credentials).ok());
}

TEST(Credentials, VariablesAreTakenOver) {
  const auto read = ReadWandbCredentials({{"WANDB_MODE", "offline"},
                                          {"WANDB_BASE_URL", "http://127.0.0.1:8080/"},
                                          {"WANDB_API_KEY", " key \n"},
                                          {"WANDB_ENTITY", "team"},
                                          {"WANDB_PROJECT", "roads"},
                                          {"WANDB_DIR", "/scratch"}},
                                         Files({{"/.netrc", "machine 127.0.0.1 password other"}}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->mode, WandbMode::kOffline);
  EXPECT_EQ(read->base_url, "http://127.0.0.1:8080");
  EXPECT_EQ(read->app_url, "http://127.0.0.1:8080");
  EXPECT_EQ(read->api_key, "key");
  EXPECT_EQ(read->entity, "team");
  EXPECT_EQ(read->project, "roads");
  EXPECT_EQ(read->folder, "/scratch");
}

TEST(Credentials, ModesHaveTheirNames) {
  const std::map<std::string, WandbMode> modes = {{"online", WandbMode::kOnline},  {"run", WandbMode::kOnline},
                                                  {"", WandbMode::kOnline},        {"offline", WandbMode::kOffline},
                                                  {"dryrun", WandbMode::kOffline}, {"disabled", WandbMode::kDisabled}};
  for (const auto& [name, mode] : modes) {
    EXPECT_EQ(ReadWandbCredentials({{"WANDB_MODE", name}}, Files({}))->mode, mode) << name;
  }
  EXPECT_EQ(ExitCodeOf(ReadWandbCredentials({{"WANDB_MODE", "Offline"}}, Files({})).status()), ExitCode::kConfig);
}

TEST(Credentials, AddressesThatAreNoneAreRefused) {
  for (const char* url : {"api.wandb.ai", "https://", "ftp://api.wandb.ai", "https://a b", "https://wandb.ai",
                          "http://wandb.ai/", "http://api.wandb.ai"}) {
    EXPECT_EQ(ExitCodeOf(ReadWandbCredentials({{"WANDB_BASE_URL", url}}, Files({})).status()), ExitCode::kConfig)
        << url;
  }
}

TEST(Credentials, TheKeyOfTheServersHostIsTakenFromNetrc) {
  const std::string text = "machine other login user password no\nmachine some.where\n  login user\n  password yes\n";
  const Environment at_home = {{"HOME", "/home/me"}, {"WANDB_BASE_URL", "https://some.where:8080/wandb"}};
  EXPECT_EQ(ReadWandbCredentials(at_home, Files({{"/home/me/.netrc", text}}))->api_key, "yes");
  EXPECT_EQ(ReadWandbCredentials(at_home, Files({{"/home/me/_netrc", text}}))->api_key, "yes");
  Environment elsewhere = at_home;
  elsewhere["NETRC"] = "/etc/netrc";
  EXPECT_EQ(ReadWandbCredentials(elsewhere, Files({{"/home/me/.netrc", text}}))->api_key, "");
  EXPECT_EQ(ReadWandbCredentials(elsewhere, Files({{"/etc/netrc", text}}))->api_key, "yes");
}

TEST(Netrc, Forms) {
  EXPECT_EQ(NetrcPassword("", "a"), std::nullopt);
  EXPECT_EQ(NetrcPassword("machine b password 1", "a"), std::nullopt);
  EXPECT_EQ(NetrcPassword("default login x password 2\nmachine a password 1", "a"), "1");
  EXPECT_EQ(NetrcPassword("default login x password 2", "a"), "2");
  EXPECT_EQ(NetrcPassword("machine a password \"with space\"", "a"), "with space");
  EXPECT_EQ(NetrcPassword("machine a password with\\\"quote", "a"), "with\"quote");
  EXPECT_EQ(NetrcPassword("# machine a password 3\nmachine a password 1", "a"), "1");
  EXPECT_EQ(NetrcPassword("macdef m\nmachine a password 3\n\nmachine a password 1", "a"), "1");
  EXPECT_EQ(NetrcPassword("machine a login password password 1", "a"), "1");
  EXPECT_EQ(NetrcPassword("machine a password", "a"), "");
}

}  // namespace
}  // namespace cubist

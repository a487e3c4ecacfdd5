#include "services/cli/doctor/finding.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe::cli::doctor {
namespace {

const Findings kThree{{Level::ok, "cpu", "kernels avx2", ""},
                      {Level::warning, "huge pages", "switched off", "switch them on"},
                      {Level::problem, "model", "gone\x1b[31m\nfor good", "fetch it"}};

TEST(DoctorFindings, ALineEachAndWhatToDoBelow) {
  EXPECT_EQ(findings_text(kThree),
            "ok       cpu         kernels avx2\n"
            "warning  huge pages  switched off\n"
            "                     -> switch them on\n"
            "problem  model       gone[31m for good\n"
            "                     -> fetch it\n"
            "1 problem, 1 warning\n");
  EXPECT_EQ(findings_text({}), "0 problems, 0 warnings\n");
}

TEST(DoctorFindings, JsonHoldsThemAll) {
  const auto json = nlohmann::json::parse(findings_json(kThree));
  EXPECT_EQ(json.at("problems"), 1);
  EXPECT_EQ(json.at("warnings"), 1);
  EXPECT_EQ(json.at("findings").at(1).at("level"), "warning");
  EXPECT_EQ(json.at("findings").at(1).at("advice"), "switch them on");
  const auto broken = nlohmann::json::parse(findings_json({{Level::ok, "x", "\xff", ""}}), nullptr, false);
  EXPECT_FALSE(broken.is_discarded()) << "a name that is no UTF-8";
}

}  // namespace
}  // namespace troupe::cli::doctor

// `troupe doctor` as a person runs it, on the machine that runs the test.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sstream>

#include "services/cli/command.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

Ran doctor(Arguments arguments) {
  std::ostringstream out, err;
  Io io{out, err, 0, {}};
  const int code = doctor_command(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

TEST(DoctorCommand, ARouterWithFreePortsHasNoProblem) {
  const Ran ran = doctor({"--role", "router"});
  EXPECT_EQ(ran.code, ok) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("ok       version"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("0 problems, "), std::string::npos) << ran.out;
}

TEST(DoctorCommand, APortOfAnotherProgramIsAProblemAndEndsWithOne) {
  ScriptServer server({{{plain_answer("hello")}}});
  const Ran ran = doctor({"--role", "router", "--metrics-port", std::to_string(server.port()), "--json"});
  EXPECT_EQ(ran.code, failed);
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json.at("problems"), 1) << ran.out;
  bool found = false;
  for (const auto& each : json.at("findings"))
    if (each.at("level") == "problem") found = each.at("check") == "ports" && !each.at("advice").empty();
  EXPECT_TRUE(found) << ran.out;
}

TEST(DoctorCommand, WrongUseIsAnother) {
  EXPECT_EQ(doctor({"--role", "waiter"}).code, bad_input);
  EXPECT_EQ(doctor({"no/such.yaml"}).code, bad_input);
}

}  // namespace
}  // namespace troupe::cli

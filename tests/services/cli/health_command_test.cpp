#include <gtest/gtest.h>

#include <sstream>

#include "services/cli/command.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

Ran health(Arguments arguments, std::vector<std::pair<std::string, std::string>> environment = {}) {
  std::ostringstream out;
  std::ostringstream err;
  Io io{out, err, 0, std::move(environment)};
  const int code = health_command(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

TEST(HealthCommand, AReadyProcessIsZeroAndAnUnreadyOneIsOne) {
  ScriptServer server({{{plain_answer("ready\n")}}, {{plain_answer("not ready\n", 503)}}});
  const Ran ready = health({"--url", server.url() + "/readyz"});
  EXPECT_EQ(ready.code, ok) << ready.err;
  EXPECT_EQ(ready.out, "ready\n");
  const Ran unready = health({"--url=" + server.url() + "/readyz"});
  EXPECT_EQ(unready.code, failed);
  EXPECT_NE(unready.err.find("/readyz answered 503: not ready"), std::string::npos) << unready.err;
  EXPECT_TRUE(server.requests()[0].starts_with("GET /readyz HTTP/1.1\r\n")) << server.requests()[0];
}

TEST(HealthCommand, AsksWhereTheRolesConfigurationPutsIt) {
  ScriptServer server({{{plain_answer("ready\n")}}, {{plain_answer("ready\n")}}});
  const std::string port = std::to_string(server.port());
  EXPECT_EQ(
      health({"decode", "--quiet"}, {{"TROUPE_METRICS_HOST", "0.0.0.0"}, {"TROUPE_METRICS_PORT", port}}).out,
      "");
  EXPECT_EQ(health({"gateway"}, {{"TROUPE_HTTP_HOST", "0.0.0.0"}, {"TROUPE_HTTP_PORT", port}}).code, ok);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(HealthCommand, AGatewayOfHttpsIsAskedAtItsMetricsPort) {
  ScriptServer server({{{plain_answer("ready\n")}}});
  EXPECT_EQ(health({"gateway"}, {{"TROUPE_HTTP_TLS_CERTIFICATE", "/keys/tls.crt"},
                                 {"TROUPE_HTTP_PORT", "1"},
                                 {"TROUPE_METRICS_PORT", std::to_string(server.port())}})
                .code,
            ok);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(HealthCommand, NobodyThereIsNotReadyAndWrongUseIsAnother) {
  std::uint16_t port = 0;
  { port = ScriptServer({}).port(); }
  EXPECT_EQ(health({"serve"}, {{"TROUPE_HTTP_PORT", std::to_string(port)}}).code, failed);
  EXPECT_EQ(health({"router"}).code, bad_input);  // no metrics port
  EXPECT_EQ(health({"cook"}).code, bad_input);
  EXPECT_EQ(health({"router", "--url", "http://127.0.0.1:1/"}).code, bad_input);
  EXPECT_EQ(health({"--url", "https://127.0.0.1/"}).code, bad_input);
  EXPECT_EQ(health({"--url", "http://127.0.0.1:1/", "--timeout", "0s"}).code, bad_input);
}

TEST(HealthCommand, ASilentProcessIsNotReady) {
  ScriptServer server({{{}, true}});
  EXPECT_EQ(health({"--url", server.url(), "--timeout", "50ms"}).code, failed);
}

}  // namespace
}  // namespace troupe::cli

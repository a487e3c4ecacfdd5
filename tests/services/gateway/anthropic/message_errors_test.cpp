#include "services/gateway/anthropic/message_errors.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::test {
namespace {

using gateway::ApiError;
using gateway::Response;
using gateway::anthropic::error_response;
using nlohmann::json;

TEST(MessageErrors, StatusAndTypeBelongTogether) {
  const std::vector<std::tuple<ApiError, int, std::string>> cases{
      {ApiError{400, "invalid_value", "x", "m", 0}, 400, "invalid_request_error"},
      {ApiError{401, "invalid_api_key", "", "m", 0}, 401, "authentication_error"},
      {ApiError{403, "insufficient_permissions", "", "m", 0}, 403, "permission_error"},
      {ApiError{404, "model_not_found", "", "m", 0}, 404, "not_found_error"},
      {ApiError{413, "body_too_large", "", "m", 0}, 413, "request_too_large"},
      {ApiError{429, "rate_limit_exceeded", "", "m", 7}, 429, "rate_limit_error"},
      {gateway::to_api(Error{Errc::queue_full, "m"}), 529, "overloaded_error"},
      {gateway::to_api(Error{Errc::no_ready_worker, "m"}), 529, "overloaded_error"},
      {gateway::to_api(Error{Errc::deadline_exceeded, "m"}), 504, "timeout_error"},
      {gateway::to_api(Error{Errc::internal, "m"}), 500, "api_error"},
  };
  for (const auto& [error, status, type] : cases) {
    const Response response = error_response(error);
    EXPECT_EQ(response.status, status) << error.code;
    EXPECT_EQ(json::parse(response.body),
              json({{"type", "error"}, {"error", {{"type", type}, {"message", "m"}}}}));
    EXPECT_EQ(response.content_type, "application/json");
  }
}

TEST(MessageErrors, KeepTheirHeaders) {
  ApiError error{429, "rate_limit_exceeded", "", "m", 7};
  error.headers.push_back({"x-should-retry", "false"});
  const Response response = error_response(error);
  ASSERT_EQ(response.headers.size(), 2u);
  EXPECT_EQ(response.headers[0].name, "x-should-retry");
  EXPECT_EQ(response.headers[1].value, "7");
}

}  // namespace
}  // namespace troupe::test

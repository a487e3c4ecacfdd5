// The chat template interpreter by itself: statements, limits, errors.
#include "common/template/chat_template.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe {
namespace {

TEST(ChatTemplate, PrintsText) { EXPECT_EQ(ChatTemplate::parse("a{{ 1 + 2 }}b").value()->render(nlohmann::ordered_json::object()).value(), "a3b"); }

}  // namespace
}  // namespace troupe

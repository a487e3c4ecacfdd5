// The files of the dashboard as browsers get them, and that they need nothing from elsewhere.
#include "services/gateway/web_files.hpp"

#include <gtest/gtest.h>

#include <regex>

namespace troupe::gateway {
namespace {

Request asking(std::vector<Header> headers = {}) {
  Request request;
  request.headers = std::move(headers);
  return request;
}

std::string header(const Response& response, std::string_view name) {
  for (const Header& each : response.headers)
    if (each.name == name) return each.value;
  return {};
}

TEST(WebFiles, AreFoundByNameAlone) {
  ASSERT_NE(find_web_file("index.html"), nullptr);
  EXPECT_TRUE(find_web_file("index.html")->type.starts_with("text/html"));
  EXPECT_TRUE(find_web_file("app.js")->type.starts_with("text/javascript"));
  EXPECT_EQ(find_web_file(""), nullptr);
  EXPECT_EQ(find_web_file("../edge.cpp"), nullptr);
  EXPECT_EQ(find_web_file("index.htm"), nullptr);
}

TEST(WebFiles, ABrowserThatHasTheFileIsNotSentItAgain) {
  const WebFile& file = *find_web_file("style.css");
  const Response first = web_response(file, asking());
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, file.content);
  const Response second =
      web_response(file, asking({{"if-none-match", "\"other\", " + header(first, "ETag")}}));
  EXPECT_EQ(second.status, 304);
  EXPECT_TRUE(second.body.empty());
  EXPECT_EQ(web_response(file, asking({{"If-None-Match", "\"other\""}})).status, 200);
}

TEST(WebFiles, AreCompressedForThoseWhoReadThat) {
  const WebFile& file = *find_web_file("style.css");
  const Response packed = web_response(file, asking({{"Accept-Encoding", "br;q=1, gzip;q=0.5"}}));
  EXPECT_EQ(header(packed, "Content-Encoding"), "gzip");
  EXPECT_LT(packed.body.size(), file.content.size() / 2);
  EXPECT_TRUE(packed.body.starts_with("\x1f\x8b")) << "gzip's magic number";
  EXPECT_TRUE(header(web_response(file, asking({{"Accept-Encoding", "br"}})), "Content-Encoding").empty());
}

TEST(WebFiles, MayLoadWhatThisGatewayServesAndNothingElse) {
  const std::string policy =
      header(web_response(*find_web_file("index.html"), asking()), "Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'"));
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(policy.find("http"), std::string::npos);
}

TEST(WebFiles, NameOnlyFilesThatAreThereAndNoScriptOutsideThem) {
  const std::regex path("[\"'](/web/[^\"']*)[\"']"),
      inline_script("<script(?![^>]*src=)|\\son[a-z]+=|style=");
  std::size_t named = 0;
  for (const WebFile& file : web_files()) {
    const std::string text(file.content);
    for (std::sregex_iterator at(text.begin(), text.end(), path), end; at != end; ++at, ++named)
      EXPECT_NE(find_web_file((*at)[1].str().substr(5)), nullptr) << file.name << " names " << (*at)[1];
    if (file.name.ends_with(".html")) {
      EXPECT_FALSE(std::regex_search(text, inline_script)) << file.name;
    }
  }
  EXPECT_GT(named, 20u);
}

TEST(WebFiles, StaySmall) {
  std::size_t sent = 0;
  for (const WebFile& file : web_files()) sent += std::min(file.compressed.size(), file.content.size());
  EXPECT_LT(sent, 64u << 10) << "compressed, all pages together";
}

}  // namespace
}  // namespace troupe::gateway

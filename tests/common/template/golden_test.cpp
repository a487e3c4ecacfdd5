// What Python's jinja2 made of the same templates (tests/golden/make_template_golden.py): equal texts, and errors where it has errors.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/base/hash.hpp"
#include "common/template/chat_template.hpp"

namespace troupe {
namespace {

using Json = nlohmann::ordered_json;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string digest(std::string_view text) {
  const Hash128 hash = xxh3_128(std::as_bytes(std::span(text)));
  char spelled[33];
  std::snprintf(spelled, sizeof spelled, "%016llx%016llx", static_cast<unsigned long long>(hash.high), static_cast<unsigned long long>(hash.low));
  return spelled;
}

Expected<std::string> render(std::string_view source, const Json& context) {
  auto parsed = ChatTemplate::parse(source);
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  return (*parsed)->render(context);
}

std::filesystem::path template_folder() {
  const auto text = [](const char* name) { return std::string(std::getenv(name) != nullptr ? std::getenv(name) : ""); };
  std::filesystem::path root = text("TROUPE_PEER_SOURCE");
  if (root.empty()) {
    const std::filesystem::path cache = text("XDG_CACHE_HOME").empty() ? text("HOME") + "/.cache" : text("XDG_CACHE_HOME");
    root = cache / "troupe/peer/llama_cpp_python-0.3.36";
  }
  return root / "vendor/llama.cpp/models/templates";
}

TEST(TemplateGolden, SmallTemplatesEqualJinja2) {
  const Json golden = Json::parse(read_file("tests/golden/template/expressions.json"));
  Json context = golden["context"];
  context["strftime_now"] = golden["now"];
  ASSERT_GE(golden["cases"].size(), 150U);
  for (const Json& example : golden["cases"]) {
    const std::string source = example["source"];
    const auto text = render(source, context);
    if (example.contains("error")) {
      EXPECT_FALSE(text.has_value()) << source << "\ngave " << text.value();
    } else if (!text) {
      ADD_FAILURE() << source << "\nfailed: " << text.error().detail << "\nexpected " << example["text"];
    } else {
      EXPECT_EQ(*text, example["text"].get<std::string>()) << source;
    }
  }
}

TEST(TemplateGolden, TemplatesOfModelFamiliesEqualJinja2) {
  const auto folder = template_folder();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent: the llama-cpp-python 0.3.36 source package is not there";
  const Json golden = Json::parse(read_file("tests/golden/template/templates.json"));
  std::size_t compared = 0;
  for (const auto& [file, row] : golden["templates"].items()) {
    const std::string source = read_file(folder / file);
    ASSERT_EQ(digest(source), row["source"].get<std::string>()) << file << " is not the one the golden file was made of";
    for (const auto& [name, given] : golden["contexts"].items()) {
      Json context = given;
      context["strftime_now"] = golden["now"];
      const auto text = render(source, context);
      const std::string found = text ? digest(*text) : "error";
      EXPECT_EQ(found, row[name].get<std::string>()) << file << " with " << name << (text ? "" : ": " + text.error().detail);
      if (const char* const dump = std::getenv("TROUPE_TEMPLATE_DUMP"); dump != nullptr && text) {
        std::ofstream(std::filesystem::path(dump) / (file + "." + name)) << *text;
      }
      ++compared;
    }
  }
  EXPECT_GE(compared, 70U * 12U);
}

}  // namespace
}  // namespace troupe

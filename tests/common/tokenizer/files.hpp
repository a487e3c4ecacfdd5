#pragma once
// Where the tokenizer tests find their vocabularies, and why a test may have to skip.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "common/gguf/gguf.hpp"
#include "common/tokenizer/tokenizer.hpp"

namespace troupe::test {

inline std::string env_or(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

inline std::filesystem::path cache_dir() {
  return std::filesystem::path(env_or("XDG_CACHE_HOME", env_or("HOME", "") + "/.cache")) / "troupe";
}
inline std::filesystem::path shared_vocabularies() {
  return std::filesystem::path(env_or("TROUPE_SHARED", "../shared")) / "data/tokenizer";
}
inline std::filesystem::path models() {
  return env_or("TROUPE_MODELS", (cache_dir() / "models").string());
}
inline std::filesystem::path peer_vocabularies() {
  const std::string fallback = (cache_dir() / "peer/llama_cpp_python-0.3.36").string();
  return std::filesystem::path(env_or("TROUPE_PEER_SOURCE", fallback)) / "vendor/llama.cpp/models";
}

inline std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  const auto file = gguf::File::open(path);
  if (!file) {
    ADD_FAILURE() << to_string(file.error());
    return nullptr;
  }
  auto tokenizer = Tokenizer::from_gguf(**file);
  if (!tokenizer) {
    ADD_FAILURE() << to_string(tokenizer.error());
    return nullptr;
  }
  return *tokenizer;
}

inline std::string read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace troupe::test

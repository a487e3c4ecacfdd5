// make_shaped_model --shape NAME --type Q4_1 --seed 1 --out FILE: a seeded random GGUF of a named shape.
#include <charconv>
#include <cctype>
#include <cstdio>
#include <map>
#include <string>

#include "tests/support/shaped_model.hpp"

namespace {

int usage(const std::string& problem) {
  std::string shapes;
  for (const auto& shape : troupe::model_shapes()) shapes.append(" ").append(shape.name);
  std::fprintf(stderr, "make_shaped_model: %s\nusage: make_shaped_model --shape NAME --type TYPE --out FILE [--seed N]\nshapes:%s\n",
               problem.c_str(), shapes.c_str());
  return 2;
}

const troupe::gguf::TensorTypeInfo* find_type(std::string name) {
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (std::uint32_t number = 0; number < 64; ++number) {
    const auto* info = troupe::gguf::tensor_type_info(number);
    if (info != nullptr && info->name == name) return info;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> given = {{"--seed", "1"}};
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag != "--shape" && flag != "--type" && flag != "--seed" && flag != "--out") return usage("unknown flag '" + flag + "'");
    if (i + 1 == argc) return usage(flag + " needs a value");
    given[flag] = argv[i + 1];
  }
  for (const char* flag : {"--shape", "--type", "--out"})
    if (!given.contains(flag)) return usage(std::string(flag) + " is missing");
  const auto* type = find_type(given["--type"]);
  if (type == nullptr) return usage("type '" + given["--type"] + "' is not known");
  std::uint64_t seed = 0;
  const std::string& digits = given["--seed"];
  const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), seed);
  if (bad != std::errc() || end != digits.data() + digits.size()) return usage("--seed takes a number, not '" + digits + "'");
  const auto written = troupe::write_shaped_model(given["--shape"], type->type, seed, given["--out"]);
  if (!written) {
    std::fprintf(stderr, "make_shaped_model: %s\n", troupe::to_string(written.error()).c_str());
    return 1;
  }
  return 0;
}

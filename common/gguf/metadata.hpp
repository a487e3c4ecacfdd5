#pragma once
// The key-value section of a GGUF file: checked once as it is read, then answered from the mapping.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/gguf/cursor.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe::gguf {

/// Value types as numbered in the file.
enum class ValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
/// "u32"; empty for a number the format does not define.
[[nodiscard]] std::string_view value_type_name(std::uint32_t number);

/// Arrays inside arrays deeper than this are refused: recursion must not be driven by the file.
inline constexpr int kMaxArrayDepth = 4;
inline constexpr std::uint64_t kMaxKeyBytes = 65535;

class Metadata {
 public:
  /// Reads `count` entries from `cursor`. `file` names the file in errors, then and later.
  /// Errors: file_malformed naming the key, what was found and what was expected.
  [[nodiscard]] static Expected<Metadata> read(Cursor& cursor, std::uint64_t count, const std::string& file);

  [[nodiscard]] bool has(std::string_view key) const { return index_.contains(key); }
  [[nodiscard]] Expected<std::optional<std::uint64_t>> unsigned_value(std::string_view key) const;
  [[nodiscard]] Expected<std::optional<double>> float_value(std::string_view key) const;
  [[nodiscard]] Expected<std::optional<bool>> bool_value(std::string_view key) const;
  [[nodiscard]] Expected<std::optional<std::string_view>> string_value(std::string_view key) const;
  [[nodiscard]] Expected<std::optional<std::vector<std::string_view>>> string_array(
      std::string_view key) const;
  [[nodiscard]] Expected<std::optional<std::vector<double>>> float_array(std::string_view key) const;
  [[nodiscard]] Expected<std::optional<std::vector<std::int64_t>>> integer_array(std::string_view key) const;
  [[nodiscard]] Expected<std::optional<std::vector<bool>>> bool_array(std::string_view key) const;
  [[nodiscard]] std::vector<File::KeyText> describe(std::size_t max_chars) const;

 private:
  struct Entry {
    std::string_view key;
    ValueType type = ValueType::u8;
    ValueType element = ValueType::u8;  ///< of an array
    std::uint64_t count = 1;            ///< elements of an array
    std::span<const std::byte> data;    ///< the value; an array's without its header
  };

  [[nodiscard]] const Entry* find(std::string_view key) const;
  [[nodiscard]] tl::unexpected<Error> wrong_type(const Entry& entry, std::string_view expected) const;

  std::string file_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace troupe::gguf

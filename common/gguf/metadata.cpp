#include "common/gguf/metadata.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace troupe::gguf {
namespace {

/// Bytes of one value of a fixed-size type; 0 for strings and arrays.
std::uint64_t fixed_size(ValueType type) {
  switch (type) {
    case ValueType::u8:
    case ValueType::i8:
    case ValueType::boolean:
      return 1;
    case ValueType::u16:
    case ValueType::i16:
      return 2;
    case ValueType::u32:
    case ValueType::i32:
    case ValueType::f32:
      return 4;
    case ValueType::u64:
    case ValueType::i64:
    case ValueType::f64:
      return 8;
    case ValueType::string:
    case ValueType::array:
      return 0;
  }
  return 0;
}

/// The fewest bytes one element can take, so that a count can be refused before anything is done `count`
/// times.
std::uint64_t least_size(ValueType type) {
  if (type == ValueType::string) return 8;  // its length
  if (type == ValueType::array) return 12;  // element type and count
  return fixed_size(type);
}

/// Moves a cursor over values, checking them. `what` is "metadata key 'x'" for the errors.
struct Checker {
  Cursor& cursor;
  const std::string& file;
  std::string what;

  tl::unexpected<Error> malformed(const std::string& detail) const {
    return fail(Errc::file_malformed, fmt::format("{}: {}: {}", file, what, detail));
  }

  Expected<ValueType> type(std::string_view field) {
    const auto number = cursor.read<std::uint32_t>();
    if (!number) return malformed(fmt::format("{}: found {} bytes, expected 4", field, cursor.remaining()));
    if (value_type_name(*number).empty())
      return malformed(fmt::format("{}: found {}, expected 0 to 12", field, *number));
    return static_cast<ValueType>(*number);
  }

  Expected<std::uint64_t> count(ValueType element) {
    const auto found = cursor.read<std::uint64_t>();
    if (!found) return malformed(fmt::format("array length: found {} bytes, expected 8", cursor.remaining()));
    const std::uint64_t most = cursor.remaining() / least_size(element);
    if (*found > most)
      return malformed(fmt::format("array length: found {}, expected at most {} in the {} bytes left", *found,
                                   most, cursor.remaining()));
    return *found;
  }

  Expected<void> values(ValueType element, std::uint64_t how_many, int depth) {
    if (element == ValueType::boolean) return booleans(how_many);
    if (const std::uint64_t size = fixed_size(element); size != 0) {
      if (!cursor.take(size * how_many))  // cannot overflow: how_many was compared with the bytes left
        return malformed(
            fmt::format("value: found {} bytes, expected {}", cursor.remaining(), size * how_many));
      return {};
    }
    for (std::uint64_t i = 0; i < how_many; ++i) {
      if (element == ValueType::string)
        TROUPE_TRY(string());
      else
        TROUPE_TRY(array(depth + 1));
    }
    return {};
  }

  Expected<void> booleans(std::uint64_t how_many) {
    const auto bytes = cursor.take(how_many);
    if (!bytes)
      return malformed(fmt::format("value: found {} bytes, expected {}", cursor.remaining(), how_many));
    for (const std::byte value : *bytes)
      if (value > std::byte{1}) return malformed(fmt::format("bool: found {}, expected 0 or 1", int(value)));
    return {};
  }

  Expected<void> string() {
    const auto length = cursor.read<std::uint64_t>();
    if (!length)
      return malformed(fmt::format("string length: found {} bytes, expected 8", cursor.remaining()));
    if (!cursor.take(*length))
      return malformed(fmt::format("string length: found {}, expected at most the {} bytes left", *length,
                                   cursor.remaining()));
    return {};
  }

  Expected<void> array(int depth) {
    if (depth > kMaxArrayDepth)
      return malformed(
          fmt::format("array depth: found {} or more, expected at most {}", depth, kMaxArrayDepth));
    const auto element = type("array element type");
    if (!element) return tl::unexpected(element.error());
    const auto length = count(*element);
    if (!length) return tl::unexpected(length.error());
    return values(*element, *length, depth);
  }
};

Expected<std::string_view> read_key(Cursor& cursor, std::uint64_t number, const std::string& file) {
  const auto malformed = [&](const std::string& detail) {
    return fail(Errc::file_malformed, fmt::format("{}: metadata entry {}: {}", file, number, detail));
  };
  const auto length = cursor.read<std::uint64_t>();
  if (!length) return malformed(fmt::format("key length: found {} bytes, expected 8", cursor.remaining()));
  if (*length == 0 || *length > kMaxKeyBytes)
    return malformed(fmt::format("key length: found {}, expected 1 to {}", *length, kMaxKeyBytes));
  const auto bytes = cursor.take(*length);
  if (!bytes)
    return malformed(
        fmt::format("key length: found {}, expected at most the {} bytes left", *length, cursor.remaining()));
  return std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// One integer, as sign and magnitude so that u64 and i64 both fit.
struct Integer {
  bool negative = false;
  std::uint64_t magnitude = 0;
};

template <class T>
Integer load_signed(const std::byte* at) {
  const auto value = static_cast<std::int64_t>(load<T>(at));
  return value < 0 ? Integer{true, 0 - static_cast<std::uint64_t>(value)}
                   : Integer{false, static_cast<std::uint64_t>(value)};
}

std::optional<Integer> load_integer(ValueType type, const std::byte* at) {
  switch (type) {
    case ValueType::u8:
      return Integer{false, load<std::uint8_t>(at)};
    case ValueType::u16:
      return Integer{false, load<std::uint16_t>(at)};
    case ValueType::u32:
      return Integer{false, load<std::uint32_t>(at)};
    case ValueType::u64:
      return Integer{false, load<std::uint64_t>(at)};
    case ValueType::i8:
      return load_signed<std::int8_t>(at);
    case ValueType::i16:
      return load_signed<std::int16_t>(at);
    case ValueType::i32:
      return load_signed<std::int32_t>(at);
    case ValueType::i64:
      return load_signed<std::int64_t>(at);
    default:
      return std::nullopt;
  }
}

std::optional<double> load_number(ValueType type, const std::byte* at) {
  if (type == ValueType::f32) return static_cast<double>(load<float>(at));
  if (type == ValueType::f64) return load<double>(at);
  const auto integer = load_integer(type, at);
  if (!integer) return std::nullopt;
  const auto magnitude = static_cast<double>(integer->magnitude);
  return integer->negative ? -magnitude : magnitude;
}

/// A string whose length has been checked; moves `at` behind it.
std::string_view load_string(const std::byte*& at) {
  const auto length = load<std::uint64_t>(at);
  const std::string_view text(reinterpret_cast<const char*>(at + 8), length);
  at += 8 + length;
  return text;
}

std::string element_text(ValueType type, const std::byte*& at, std::size_t max_chars) {
  if (type == ValueType::string) return printable(load_string(at), max_chars);
  std::string text;
  if (type == ValueType::boolean) {
    text = load<std::uint8_t>(at) != 0 ? "true" : "false";
  } else if (const auto integer = load_integer(type, at)) {
    text = fmt::format("{}{}", integer->negative ? "-" : "", integer->magnitude);
  } else if (type == ValueType::f32) {
    text = fmt::format("{}", load<float>(at));
  } else {
    text = fmt::format("{}", load<double>(at));
  }
  at += fixed_size(type);
  return text;
}

}  // namespace

std::string_view value_type_name(std::uint32_t number) {
  static constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                "bool", "string", "array", "u64", "i64", "f64"};
  return number < std::size(kNames) ? kNames[number] : std::string_view{};
}

std::string printable(std::string_view text, std::size_t max_chars) {
  std::string out = "'";
  for (const char c : text) {
    if (out.size() > max_chars) return out + "'...";
    if (c >= 0x20 && c < 0x7F)
      out.push_back(c);
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out + "'";
}

Expected<Metadata> Metadata::read(Cursor& cursor, std::uint64_t count, const std::string& file) {
  Metadata metadata;
  metadata.file_ = file;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto key = read_key(cursor, i, file);
    if (!key) return tl::unexpected(key.error());
    Checker checker{cursor, file, fmt::format("metadata key {}", printable(*key))};
    const auto type = checker.type("value type");
    if (!type) return tl::unexpected(type.error());

    Entry entry{*key, *type, ValueType::u8, 1, {}};
    if (*type == ValueType::array) {
      const auto element = checker.type("array element type");
      if (!element) return tl::unexpected(element.error());
      const auto length = checker.count(*element);
      if (!length) return tl::unexpected(length.error());
      entry.element = *element;
      entry.count = *length;
    }
    Cursor before = cursor;
    TROUPE_TRY(checker.values(*type == ValueType::array ? entry.element : *type, entry.count, 1));
    entry.data = *before.take(cursor.position() - before.position());

    if (!metadata.index_.emplace(*key, metadata.entries_.size()).second)
      return checker.malformed(fmt::format("found a second time as entry {}, expected each key once", i));
    metadata.entries_.push_back(entry);
  }
  return metadata;
}

const Metadata::Entry* Metadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

tl::unexpected<Error> Metadata::wrong_type(const Entry& entry, std::string_view expected) const {
  std::string found(value_type_name(static_cast<std::uint32_t>(entry.type)));
  if (entry.type == ValueType::array)
    found = fmt::format("array of {}", value_type_name(static_cast<std::uint32_t>(entry.element)));
  else if (entry.type != ValueType::string) {
    const std::byte* at = entry.data.data();
    found = fmt::format("{} {}", found, element_text(entry.type, at, 40));
  }
  return fail(Errc::file_malformed, fmt::format("{}: metadata key {}: found {}, expected {}", file_,
                                                printable(entry.key), found, expected));
}

Expected<std::optional<std::uint64_t>> Metadata::unsigned_value(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  const auto integer = load_integer(entry->type, entry->data.data());
  if (!integer || integer->negative) return wrong_type(*entry, "an unsigned integer");
  return integer->magnitude;
}

Expected<std::optional<double>> Metadata::float_value(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  const auto number = load_number(entry->type, entry->data.data());
  if (!number) return wrong_type(*entry, "a number");
  return *number;
}

Expected<std::optional<bool>> Metadata::bool_value(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  if (entry->type != ValueType::boolean) return wrong_type(*entry, "a bool");
  return entry->data[0] != std::byte{0};
}

Expected<std::optional<std::string_view>> Metadata::string_value(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  if (entry->type != ValueType::string) return wrong_type(*entry, "a string");
  const std::byte* at = entry->data.data();
  return load_string(at);
}

Expected<std::optional<std::vector<std::string_view>>> Metadata::string_array(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  if (entry->type != ValueType::array || entry->element != ValueType::string)
    return wrong_type(*entry, "an array of strings");
  std::vector<std::string_view> out(entry->count);
  const std::byte* at = entry->data.data();
  for (std::string_view& text : out) text = load_string(at);
  return out;
}

Expected<std::optional<std::vector<double>>> Metadata::float_array(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  const std::uint64_t size = fixed_size(entry->element);
  if (entry->type != ValueType::array || size == 0 || entry->element == ValueType::boolean)
    return wrong_type(*entry, "an array of numbers");
  std::vector<double> out(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i)
    out[i] = *load_number(entry->element, entry->data.data() + i * size);
  return out;
}

Expected<std::optional<std::vector<std::int64_t>>> Metadata::integer_array(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  const std::uint64_t size = fixed_size(entry->element);
  const bool integers = size != 0 && entry->element != ValueType::boolean &&
                        entry->element != ValueType::f32 && entry->element != ValueType::f64;
  if (entry->type != ValueType::array || !integers) return wrong_type(*entry, "an array of integers");
  std::vector<std::int64_t> out(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i) {
    const Integer value = *load_integer(entry->element, entry->data.data() + i * size);
    if (!value.negative && value.magnitude > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
      return fail(Errc::file_malformed,
                  fmt::format("{}: metadata key {}[{}]: found {}, expected at most 2^63-1", file_,
                              printable(key), i, value.magnitude));
    out[i] = static_cast<std::int64_t>(value.negative ? 0 - value.magnitude : value.magnitude);
  }
  return out;
}

Expected<std::optional<std::vector<bool>>> Metadata::bool_array(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return std::nullopt;
  if (entry->type != ValueType::array || entry->element != ValueType::boolean)
    return wrong_type(*entry, "an array of bools");
  std::vector<bool> out(entry->count);
  for (std::uint64_t i = 0; i < entry->count; ++i) out[i] = entry->data[i] != std::byte{0};
  return out;
}

std::vector<File::KeyText> Metadata::describe(std::size_t max_chars) const {
  std::vector<File::KeyText> out;
  for (const Entry& entry : entries_) {
    File::KeyText text{
        std::string(entry.key), std::string(value_type_name(static_cast<std::uint32_t>(entry.type))), {}};
    const std::byte* at = entry.data.data();
    if (entry.type != ValueType::array) {
      text.value = element_text(entry.type, at, max_chars);
    } else {
      text.type =
          fmt::format("{}[{}]", value_type_name(static_cast<std::uint32_t>(entry.element)), entry.count);
      if (entry.element == ValueType::array) {
        text.value = "[arrays]";
      } else {
        for (std::uint64_t i = 0; i < entry.count && text.value.size() < max_chars; ++i)
          text.value += (i == 0 ? "" : ", ") + element_text(entry.element, at, max_chars);
      }
    }
    if (text.value.size() > max_chars) text.value = text.value.substr(0, max_chars) + "...";
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace troupe::gguf

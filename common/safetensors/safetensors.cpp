#include "common/safetensors/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/file_mapping.hpp"

namespace troupe::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "the mapping is read in place, as little-endian");

constexpr std::uint64_t kMostHeader = 16U << 20;
constexpr std::size_t kMostDimensions = 8;
constexpr std::string_view kMetadata = "__metadata__";

struct TypeInfo {
  std::string_view name;
  std::uint64_t bytes;
  Type type;
};
constexpr std::array kTypes{
    TypeInfo{"F64", 8, Type::other}, TypeInfo{"F32", 4, Type::f32},   TypeInfo{"F16", 2, Type::f16},
    TypeInfo{"BF16", 2, Type::bf16}, TypeInfo{"I64", 8, Type::other}, TypeInfo{"I32", 4, Type::other},
    TypeInfo{"I16", 2, Type::other}, TypeInfo{"I8", 1, Type::other},  TypeInfo{"U64", 8, Type::other},
    TypeInfo{"U32", 4, Type::other}, TypeInfo{"U16", 2, Type::other}, TypeInfo{"U8", 1, Type::other},
    TypeInfo{"BOOL", 1, Type::other}};

/// A tensor as the header states it.
struct Entry {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<std::vector<std::uint64_t>> shape, offsets;
};

/// Takes the header's JSON event by event; false: it is refused, and problem() says why.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool start_object(std::size_t) override {
    ++depth_;
    if (depth_ == 1 || (depth_ == 2 && !in_array_)) return true;
    return refuse("an object");
  }
  bool end_object() override {
    if (depth_-- == 2) in_metadata_ = false;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 2) {
      field_ = std::move(name);
      return true;
    }
    in_metadata_ = name == kMetadata;
    if (!in_metadata_) entries_.push_back({std::move(name), {}, {}, {}});
    field_.clear();
    return true;
  }
  bool start_array(std::size_t) override {
    std::optional<std::vector<std::uint64_t>>* const list = numbers();
    if (list == nullptr || in_array_ || *list) return refuse("a list");
    list->emplace();
    return in_array_ = true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_ || (*numbers())->size() >= kMostDimensions) return refuse("a number");
    (*numbers())->push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) return true;
    if (depth_ != 2 || in_array_ || field_ != "dtype" || entries_.back().dtype) return refuse("a text");
    entries_.back().dtype = std::move(value);
    return true;
  }
  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a truth value"); }
  bool number_integer(number_integer_t) override { return refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return refuse("a fraction"); }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    problem_ = "no JSON at byte " + std::to_string(position);
    return false;
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::vector<Entry>& entries() { return entries_; }

 private:
  std::optional<std::vector<std::uint64_t>>* numbers() {
    if (depth_ != 2 || in_metadata_) return nullptr;
    if (field_ == "shape") return &entries_.back().shape;
    return field_ == "data_offsets" ? &entries_.back().offsets : nullptr;
  }
  bool refuse(const char* what) {
    problem_ = std::string("found ") + what + " where none may be";
    if (depth_ >= 2 && !entries_.empty() && !in_metadata_)
      problem_ += ", in tensor \"" + entries_.back().name.substr(0, 80) + "\"";
    return false;
  }

  std::vector<Entry> entries_;
  std::string problem_, field_;
  int depth_ = 0;
  bool in_metadata_ = false, in_array_ = false;
};

tl::unexpected<Error> malformed(const std::string& file, const std::string& what) {
  return fail(Errc::file_malformed, file + ": " + what);
}

/// Product of the shape and of an element's bytes; nullopt: more than 64 bits hold.
std::optional<std::uint64_t> bytes_of(const std::vector<std::uint64_t>& shape, std::uint64_t element) {
  std::uint64_t bytes = element;
  for (const std::uint64_t extent : shape) {
    if (extent != 0 && bytes > std::numeric_limits<std::uint64_t>::max() / extent) return std::nullopt;
    bytes *= extent;
  }
  return bytes;
}

Expected<Tensor> checked(const std::string& file, Entry entry, std::span<const std::byte> data) {
  const std::string where = "tensor \"" + entry.name.substr(0, 80) + "\"";
  if (!entry.dtype || !entry.shape || !entry.offsets || entry.offsets->size() != 2)
    return malformed(file, where + " lacks its dtype, its shape or two data_offsets");
  const auto info = std::ranges::find(kTypes, std::string_view(*entry.dtype), &TypeInfo::name);
  if (info == kTypes.end()) {
    return fail(Errc::file_unsupported, file + ": " + where + " has elements of type \"" +
                                            entry.dtype->substr(0, 16) + "\", which is not known");
  }
  const std::uint64_t begin = (*entry.offsets)[0], end = (*entry.offsets)[1];
  const auto wanted = bytes_of(*entry.shape, info->bytes);
  if (begin > end || end > data.size()) {
    return malformed(file, where + " lies at bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                               ", the file has " + std::to_string(data.size()));
  }
  if (!wanted || *wanted != end - begin) {
    return malformed(file, where + " has " + std::to_string(end - begin) + " bytes, its shape says " +
                               (wanted ? std::to_string(*wanted) : std::string("more than there can be")));
  }
  return Tensor{std::move(entry.name), info->type, std::move(*entry.dtype), std::move(*entry.shape),
                data.subspan(begin, end - begin)};
}

/// End to end, from the first byte to the last.
bool covers(std::vector<std::span<const std::byte>> parts, std::span<const std::byte> data) {
  std::ranges::sort(parts, [](const auto& a, const auto& b) {
    return a.data() != b.data() ? a.data() < b.data() : a.size() < b.size();
  });
  const std::byte* at = data.data();
  for (const auto& part : parts) {
    if (part.data() != at) return false;
    at += part.size();
  }
  return at == data.data() + data.size();
}

struct MappedFile {
  FileMapping mapping;  // outlives `file`, whose views point into it
  std::shared_ptr<const File> file;
};

}  // namespace

std::uint64_t Tensor::elements() const {
  std::uint64_t count = 1;
  for (const std::uint64_t extent : shape) count *= extent;
  return count;
}

Expected<std::shared_ptr<const File>> File::open(const std::filesystem::path& path) {
  auto mapped = std::make_shared<MappedFile>();
  TROUPE_TRY(mapped->mapping.map(path));
  auto file = parse(mapped->mapping.bytes(), path.string());
  if (!file) return file;
  mapped->file = std::move(*file);
  const File* view = mapped->file.get();
  return std::shared_ptr<const File>(std::move(mapped), view);
}

Expected<std::shared_ptr<const File>> File::parse(std::span<const std::byte> bytes, std::string name) {
  std::uint64_t header = 0;
  if (bytes.size() < sizeof header)
    return malformed(
        name, "found " + std::to_string(bytes.size()) + " bytes, expected the 8 of the header's length");
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::uint64_t most = std::min<std::uint64_t>(kMostHeader, bytes.size() - sizeof header);
  if (header > most) {
    return malformed(name, "the header has " + std::to_string(header) + " bytes, expected at most " +
                               std::to_string(most));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof header, header);
  const std::span<const std::byte> data = bytes.subspan(sizeof header + header);
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &reader))
    return malformed(name, "the header: " + reader.problem());
  std::vector<Tensor> tensors;
  std::vector<std::span<const std::byte>> parts;
  for (Entry& entry : reader.entries()) {
    auto tensor = checked(name, std::move(entry), data);
    TROUPE_TRY(tensor);
    parts.push_back(tensor->data);
    tensors.push_back(std::move(*tensor));
  }
  if (!covers(std::move(parts), data)) return malformed(name, "its tensors do not cover its data end to end");
  std::ranges::sort(tensors, {}, &Tensor::name);
  if (const auto twice = std::ranges::adjacent_find(tensors, {}, &Tensor::name); twice != tensors.end())
    return malformed(name, "tensor \"" + twice->name.substr(0, 80) + "\" comes twice");
  return std::make_shared<const File>(std::move(name), std::move(tensors));
}

const Tensor* File::tensor(std::string_view name) const {
  const auto found =
      std::ranges::lower_bound(tensors_, name, {}, [](const Tensor& t) { return std::string_view(t.name); });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace troupe::safetensors

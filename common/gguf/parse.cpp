// Header, metadata, tensor table, then the placement of the tensors' bytes: each number is compared with what
// the file can hold before it is used.
#include <algorithm>
#include <bit>
#include <numeric>
#include <unordered_map>

#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "common/gguf/gguf.hpp"
#include "common/gguf/metadata.hpp"

namespace troupe::gguf {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kLeastAlignment = 8;  // the format asks for a multiple of 8
constexpr std::uint64_t kMostAlignment = 1U << 16;
constexpr std::uint64_t kMaxTensorNameBytes = 127;
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::uint64_t kLeastMetadataBytes = 8 + 1 + 4 + 1;  // key length, key, type, a byte of value
constexpr std::uint64_t kLeastTensorBytes =
    8 + 1 + 4 + 8 + 4 + 8;  // name length, name, rank, one dimension, type, offset

/// Lets a map of strings be asked with a view.
struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

class ParsedFile final : public File {
 public:
  ParsedFile(std::span<const std::byte> bytes, std::string name, Bytes where)
      : bytes_(bytes), name_(name), path_(std::move(name)), where_(where) {}

  Expected<void> read() {
    Cursor cursor(bytes_);
    TROUPE_TRY(read_header(cursor));
    auto metadata = Metadata::read(cursor, metadata_count_, name_);
    if (!metadata) return tl::unexpected(metadata.error());
    metadata_ = std::move(*metadata);
    TROUPE_TRY(read_alignment());
    for (std::uint64_t i = 0; i < tensor_count_; ++i) TROUPE_TRY(read_tensor(cursor, i));
    TROUPE_TRY(place_tensors(cursor.position()));
    return check_overlap();
  }

  const std::filesystem::path& path() const override { return path_; }
  std::uint64_t file_bytes() const override { return bytes_.size(); }
  std::span<const Tensor> tensors() const override { return tensors_; }
  const Tensor* tensor(std::string_view name) const override {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }

  void release(const Tensor& tensor) const override {
    if (where_ != Bytes::mapping) return;  // of other memory the contents would be lost
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto first = reinterpret_cast<std::uintptr_t>(tensor.data.data());
    const std::uintptr_t begin = (first + page - 1) / page * page, end = (first + tensor.data.size()) / page * page;
    if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }

  bool has(std::string_view key) const override { return metadata_.has(key); }
  Expected<std::optional<std::uint64_t>> unsigned_value(std::string_view key) const override {
    return metadata_.unsigned_value(key);
  }
  Expected<std::optional<double>> float_value(std::string_view key) const override {
    return metadata_.float_value(key);
  }
  Expected<std::optional<bool>> bool_value(std::string_view key) const override {
    return metadata_.bool_value(key);
  }
  Expected<std::optional<std::string_view>> string_value(std::string_view key) const override {
    return metadata_.string_value(key);
  }
  Expected<std::optional<std::vector<std::string_view>>> string_array(std::string_view key) const override {
    return metadata_.string_array(key);
  }
  Expected<std::optional<std::vector<double>>> float_array(std::string_view key) const override {
    return metadata_.float_array(key);
  }
  Expected<std::optional<std::vector<std::int64_t>>> integer_array(std::string_view key) const override {
    return metadata_.integer_array(key);
  }
  Expected<std::optional<std::vector<bool>>> bool_array(std::string_view key) const override {
    return metadata_.bool_array(key);
  }
  std::vector<KeyText> describe(std::size_t max_chars) const override {
    return metadata_.describe(max_chars);
  }

 private:
  tl::unexpected<Error> malformed(std::string_view field, const std::string& detail) const {
    return fail(Errc::file_malformed, fmt::format("{}: {}: {}", name_, field, detail));
  }

  Expected<void> read_header(Cursor& cursor) {
    const auto magic = cursor.read<std::uint32_t>();
    if (!magic) return malformed("magic", fmt::format("found {} bytes, expected 4", cursor.remaining()));
    if (*magic != kMagic)
      return malformed("magic", fmt::format("found 0x{:08x}, expected 0x{:08x} ('GGUF')", *magic, kMagic));
    const auto version = cursor.read<std::uint32_t>();
    if (!version) return malformed("version", fmt::format("found {} bytes, expected 4", cursor.remaining()));
    if (*version != 2 && *version != 3) {
      const bool swapped = (*version & 0xFFFFU) == 0 && *version != 0;
      return fail(Errc::file_unsupported, fmt::format("{}: version: found {}{}, expected 2 or 3", name_,
                                                      *version, swapped ? " (a big-endian file)" : ""));
    }
    TROUPE_TRY(read_count(cursor, "tensor count", tensor_count_));
    TROUPE_TRY(read_count(cursor, "metadata count", metadata_count_));
    TROUPE_TRY(check_count("tensor count", tensor_count_, kLeastTensorBytes, cursor.remaining()));
    return check_count("metadata count", metadata_count_, kLeastMetadataBytes, cursor.remaining());
  }

  Expected<void> read_count(Cursor& cursor, std::string_view field, std::uint64_t& out) const {
    const auto count = cursor.read<std::uint64_t>();
    if (!count) return malformed(field, fmt::format("found {} bytes, expected 8", cursor.remaining()));
    out = *count;
    return {};
  }

  Expected<void> check_count(std::string_view field, std::uint64_t count, std::uint64_t least,
                             std::uint64_t left) const {
    if (count <= left / least) return {};
    return malformed(
        field, fmt::format("found {}, expected at most {} in the {} bytes left", count, left / least, left));
  }

  Expected<void> read_alignment() {
    const auto value = metadata_.unsigned_value("general.alignment");
    if (!value) return tl::unexpected(value.error());
    alignment_ = value->value_or(kDefaultAlignment);
    if (!std::has_single_bit(alignment_) || alignment_ < kLeastAlignment || alignment_ > kMostAlignment)
      return malformed("metadata key 'general.alignment'",
                       fmt::format("found {}, expected a power of two from {} to {}", alignment_,
                                   kLeastAlignment, kMostAlignment));
    return {};
  }

  Expected<void> read_tensor(Cursor& cursor, std::uint64_t number) {
    const std::string entry = fmt::format("tensor {}", number);
    const auto length = cursor.read<std::uint64_t>();
    if (!length)
      return malformed(entry, fmt::format("name length: found {} bytes, expected 8", cursor.remaining()));
    if (*length == 0 || *length > kMaxTensorNameBytes)
      return malformed(entry,
                       fmt::format("name length: found {}, expected 1 to {}", *length, kMaxTensorNameBytes));
    const auto name = cursor.take(*length);
    if (!name)
      return malformed(entry, fmt::format("name length: found {}, expected at most the {} bytes left",
                                          *length, cursor.remaining()));
    Tensor tensor;
    tensor.name.assign(reinterpret_cast<const char*>(name->data()), name->size());
    const std::string field = fmt::format("tensor {}", printable(tensor.name));
    TROUPE_TRY(read_shape(cursor, field, tensor));
    TROUPE_TRY(read_type(cursor, field, tensor));
    const auto offset = cursor.read<std::uint64_t>();
    if (!offset)
      return malformed(field, fmt::format("offset: found {} bytes, expected 8", cursor.remaining()));
    if (*offset % alignment_ != 0)
      return malformed(field,
                       fmt::format("offset: found {}, expected a multiple of {}", *offset, alignment_));
    if (!index_.emplace(tensor.name, tensors_.size()).second)
      return malformed(
          field, fmt::format("name: found a second time as tensor {}, expected each name once", number));
    offsets_.push_back(*offset);
    tensors_.push_back(std::move(tensor));
    return {};
  }

  Expected<void> read_shape(Cursor& cursor, const std::string& field, Tensor& tensor) const {
    const auto rank = cursor.read<std::uint32_t>();
    if (!rank)
      return malformed(field, fmt::format("dimension count: found {} bytes, expected 4", cursor.remaining()));
    if (*rank == 0 || *rank > kMaxDimensions)
      return malformed(field,
                       fmt::format("dimension count: found {}, expected 1 to {}", *rank, kMaxDimensions));
    std::uint64_t product = 1;
    for (std::uint32_t d = 0; d < *rank; ++d) {
      const auto dimension = cursor.read<std::uint64_t>();
      if (!dimension)
        return malformed(field,
                         fmt::format("dimension {}: found {} bytes, expected 8", d, cursor.remaining()));
      if (*dimension == 0)
        return malformed(field, fmt::format("dimension {}: found 0, expected at least 1", d));
      // 2^48 elements are beyond any file, and far below where element and byte counts would wrap.
      if (*dimension > kMaxElements / product)
        return malformed(
            field, fmt::format("dimension {}: found {} after a product of {}, expected at most 2^48 elements",
                               d, *dimension, product));
      product *= *dimension;
      tensor.shape.push_back(*dimension);
    }
    return {};
  }

  Expected<void> read_type(Cursor& cursor, const std::string& field, Tensor& tensor) const {
    const auto number = cursor.read<std::uint32_t>();
    if (!number) return malformed(field, fmt::format("type: found {} bytes, expected 4", cursor.remaining()));
    const TensorTypeInfo* info = tensor_type_info(*number);
    if (!info)
      return fail(
          Errc::file_unsupported,
          fmt::format(
              "{}: {}: type: found number {}, expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 or "
              "Q2_K to Q6_K",
              name_, field, *number));
    if (tensor.shape[0] % info->block_elements != 0)
      return malformed(
          field, fmt::format("dimension 0: found {}, expected a multiple of the {} elements in a block of {}",
                             tensor.shape[0], info->block_elements, info->name));
    tensor.type = info->type;
    return {};
  }

  /// The tensors' bytes start at the next aligned place after the table.
  Expected<void> place_tensors(std::uint64_t table_end) {
    if (tensors_.empty()) return {};
    const std::uint64_t start = (table_end + alignment_ - 1) / alignment_ * alignment_;
    const std::uint64_t room = bytes_.size() < start ? 0 : bytes_.size() - start;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      Tensor& tensor = tensors_[i];
      const TensorTypeInfo& info = *tensor_type_info(static_cast<std::uint32_t>(tensor.type));
      const std::uint64_t size = tensor.elements() / info.block_elements * info.block_bytes;
      if (offsets_[i] > room || size > room - offsets_[i])
        return malformed(
            fmt::format("tensor {}", printable(tensor.name)),
            fmt::format("data: found {} bytes at offset {}, expected them inside the {} bytes of tensor data",
                        size, offsets_[i], room));
      tensor.data = bytes_.subspan(start + offsets_[i], size);
    }
    return {};
  }

  Expected<void> check_overlap() const {
    std::vector<std::size_t> order(tensors_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [this](std::size_t a, std::size_t b) { return offsets_[a] < offsets_[b]; });
    for (std::size_t i = 1; i < order.size(); ++i) {
      const Tensor& before = tensors_[order[i - 1]];
      const std::uint64_t end = offsets_[order[i - 1]] + before.data.size();
      if (offsets_[order[i]] < end)
        return malformed(fmt::format("tensor {}", printable(tensors_[order[i]].name)),
                         fmt::format("offset: found {}, expected at least {}, where {} ends",
                                     offsets_[order[i]], end, printable(before.name)));
    }
    return {};
  }

  static constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 48;

  std::span<const std::byte> bytes_;
  std::string name_;
  std::filesystem::path path_;
  Bytes where_;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t metadata_count_ = 0;
  std::uint64_t alignment_ = kDefaultAlignment;
  Metadata metadata_;
  std::vector<Tensor> tensors_;
  std::vector<std::uint64_t> offsets_;
  std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> index_;
};

}  // namespace

Expected<std::shared_ptr<const File>> File::parse(std::span<const std::byte> bytes, std::string name,
                                                   Bytes where) {
  auto file = std::make_shared<ParsedFile>(bytes, std::move(name), where);
  TROUPE_TRY(file->read());
  return file;
}

}  // namespace troupe::gguf

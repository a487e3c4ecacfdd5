#include "common/kv/disk/record.hpp"

#include <bit>
#include <cstring>

#include "common/base/hash.hpp"

namespace troupe::kv::disk {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr std::uint64_t kSegmentMagic = 0x0031474553564b54;  // "TKVSEG1\0"
constexpr std::uint32_t kRecordMagic = 0x474150;             // "PAG\0"
constexpr std::uint64_t kSealMagic = 0x0031444e45564b54;     // "TKVEND1\0"
constexpr std::uint32_t kVersion = 1;

/// Numbers one after another; the last 8 bytes of an image are the checksum of those before.
class Writer {
 public:
  explicit Writer(std::span<std::byte> image) : image_(image) {}
  template <class T>
  Writer& put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    TROUPE_CHECK(at_ + sizeof value + sizeof(std::uint64_t) <= image_.size(),
                 "fields and checksum fit the image");
    std::memcpy(image_.data() + at_, &value, sizeof value);
    at_ += sizeof value;
    return *this;
  }
  void finish() {
    const std::uint64_t sum = xxh3_64(image_.first(image_.size() - sizeof(std::uint64_t)));
    std::memcpy(image_.last(sizeof sum).data(), &sum, sizeof sum);
  }

 private:
  std::span<std::byte> image_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> image) : image_(image) {}
  [[nodiscard]] bool whole() const {
    std::uint64_t sum = 0;
    std::memcpy(&sum, image_.last(sizeof sum).data(), sizeof sum);
    return sum == xxh3_64(image_.first(image_.size() - sizeof sum));
  }
  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    std::memcpy(&value, image_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  template <class T>
  [[nodiscard]] bool is(const T& value) {
    return get<T>() == value;
  }

 private:
  std::span<const std::byte> image_;
  std::size_t at_ = 0;
};

}  // namespace

SegmentHeaderImage write_segment_header(const SegmentFormat& format) {
  SegmentHeaderImage image{};
  Writer out(image);
  out.put(kSegmentMagic).put(kVersion).put(std::uint32_t{kBlocksPerPage});
  out.put(format.model.high).put(format.model.low).put(format.page_bytes).finish();
  return image;
}

std::optional<SegmentFormat> read_segment_header(const SegmentHeaderImage& image) {
  Reader in(image);
  if (!in.whole() || !in.is(kSegmentMagic) || !in.is(kVersion) || !in.is(std::uint32_t{kBlocksPerPage}))
    return std::nullopt;
  SegmentFormat format;
  format.model.high = in.get<std::uint64_t>();
  format.model.low = in.get<std::uint64_t>();
  format.page_bytes = in.get<std::uint64_t>();
  return format;
}

RecordHeaderImage write_record_header(const RecordHeader& header, const SegmentFormat& format) {
  RecordHeaderImage image{};
  Writer out(image);
  out.put(kRecordMagic).put(kVersion).put(format.page_bytes).put(format.model.high).put(format.model.low);
  out.put(std::uint64_t{header.page.parent.has_value()});
  const BlockKey parent = header.page.parent.value_or(BlockKey{});
  out.put(parent.high).put(parent.low);
  for (const BlockKey& key : header.page.keys) out.put(key.high).put(key.low);
  out.put(header.page.tokens).put(header.kv_checksum).finish();
  return image;
}

std::optional<RecordHeader> read_record_header(const RecordHeaderImage& image, const SegmentFormat& format) {
  Reader in(image);
  if (!in.whole() || !in.is(kRecordMagic) || !in.is(kVersion) || !in.is(format.page_bytes) ||
      !in.is(format.model.high) || !in.is(format.model.low))
    return std::nullopt;
  RecordHeader header;
  const bool has_parent = in.get<std::uint64_t>() != 0;
  BlockKey parent;
  parent.high = in.get<std::uint64_t>();
  parent.low = in.get<std::uint64_t>();
  if (has_parent) header.page.parent = parent;
  for (BlockKey& key : header.page.keys) {
    key.high = in.get<std::uint64_t>();
    key.low = in.get<std::uint64_t>();
  }
  header.page.tokens = in.get<decltype(header.page.tokens)>();
  header.kv_checksum = in.get<std::uint64_t>();
  return header;
}

SealImage write_seal(std::uint32_t records) {
  SealImage image{};
  Writer(image).put(kSealMagic).put(records).finish();
  return image;
}

std::optional<std::uint32_t> read_seal(const SealImage& image) {
  Reader in(image);
  if (!in.whole() || !in.is(kSealMagic)) return std::nullopt;
  return in.get<std::uint32_t>();
}

}  // namespace troupe::kv::disk

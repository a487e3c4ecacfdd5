#pragma once
// What a segment file is made of: a segment header, records of one size, and once it is full a seal.
//
//   | SegmentHeader | record 0 | record 1 | ... | Seal |      record: | record header | KV of one page,
//   [L][page] |
//
// Every part carries XXH3-64 of its own bytes, a record one for its header and one for its KV. Numbers are
// little-endian. All records of a segment belong to one model id, which holds weights, numerics and codec;
// the tenant's salt is in the block keys.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/base/ids.hpp"
#include "common/kv/block_key.hpp"

namespace troupe::kv::disk {

/// What all records of a segment share.
struct SegmentFormat {
  ModelId model;
  std::uint64_t page_bytes = 0;  ///< KV of one page in all layers
  bool operator==(const SegmentFormat&) const = default;
};

inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kRecordHeaderBytes = 400;
inline constexpr std::size_t kSealBytes = 32;

[[nodiscard]] constexpr std::uint64_t record_bytes(const SegmentFormat& format) {
  return kRecordHeaderBytes + format.page_bytes;
}
[[nodiscard]] constexpr std::uint64_t record_offset(const SegmentFormat& format, std::uint32_t slot) {
  return kSegmentHeaderBytes + slot * record_bytes(format);
}

using SegmentHeaderImage = std::array<std::byte, kSegmentHeaderBytes>;
[[nodiscard]] SegmentHeaderImage write_segment_header(const SegmentFormat& format);
/// None: not one of ours, of another version, or damaged.
[[nodiscard]] std::optional<SegmentFormat> read_segment_header(const SegmentHeaderImage& image);

struct RecordHeader {
  PageIdentity page;
  std::uint64_t kv_checksum = 0;
  bool operator==(const RecordHeader&) const = default;
};
using RecordHeaderImage = std::array<std::byte, kRecordHeaderBytes>;
[[nodiscard]] RecordHeaderImage write_record_header(const RecordHeader& header, const SegmentFormat& format);
/// None: damaged, or of another model or page size.
[[nodiscard]] std::optional<RecordHeader> read_record_header(const RecordHeaderImage& image,
                                                             const SegmentFormat& format);

using SealImage = std::array<std::byte, kSealBytes>;
[[nodiscard]] SealImage write_seal(std::uint32_t records);
/// The number of records before it. None: no seal.
[[nodiscard]] std::optional<std::uint32_t> read_seal(const SealImage& image);

}  // namespace troupe::kv::disk

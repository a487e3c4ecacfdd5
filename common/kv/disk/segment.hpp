#pragma once
// One segment file: records of one size, appended, never changed. A crash leaves at most a torn end: what was
// being written has no valid checksum, and opening cuts it off.
//
// A seal says that everything before it was on the device when it was written. So a sealed segment is opened
// by its record headers alone; of an unsealed one the KV of the last 64 MiB is checked too, where a crash
// tears. Whoever reads a record checks its KV.
#include <memory>
#include <string>
#include <vector>

#include "common/kv/disk/files.hpp"
#include "common/kv/disk/record.hpp"

namespace troupe::kv::disk {

inline constexpr std::uint64_t kCheckedBytes = std::uint64_t{64} << 20;

/// Threads: one at a time.
class Segment {
 public:
  /// Errors: io_failed; nothing stays in the folder then.
  [[nodiscard]] static Expected<Segment> create(Folder& folder, const std::string& name,
                                                const SegmentFormat& format);

  struct Found {
    std::uint32_t slot = 0;
    PageIdentity page;
  };
  /// Scans a file and adds its whole records to `found`; cuts what is torn behind the last one.
  /// Errors: io_failed; file_malformed (no segment, or one of another format).
  [[nodiscard]] static Expected<Segment> open(std::unique_ptr<File> file, const SegmentFormat& format,
                                              std::vector<Found>& found);

  /// Returns the record's slot. `kv` has page_bytes. Errors: io_failed; then the segment is as before.
  [[nodiscard]] Expected<std::uint32_t> append(const PageIdentity& page, std::span<const std::byte> kv);
  /// Errors: io_failed; hash_mismatch (the record is damaged, or not of this page).
  [[nodiscard]] Expected<void> read(std::uint32_t slot, const BlockKey& page, std::span<std::byte> kv) const;
  /// Brings everything to the device. Nothing is appended afterwards. Errors: io_failed; the segment stays
  /// unsealed and readable.
  [[nodiscard]] Expected<void> seal();

  [[nodiscard]] bool sealed() const { return sealed_; }
  [[nodiscard]] std::uint32_t slots() const { return slots_; }  ///< used ones, damaged records included
  [[nodiscard]] std::uint64_t bytes() const {
    return record_offset(format_, slots_) + (sealed_ ? kSealBytes : 0);
  }

 private:
  Segment(std::unique_ptr<File> file, const SegmentFormat& format)
      : file_(std::move(file)), format_(format) {}
  [[nodiscard]] Expected<RecordHeader> header(std::uint32_t slot) const;
  [[nodiscard]] Expected<void> check_size(std::uint64_t size);

  std::unique_ptr<File> file_;
  SegmentFormat format_;
  std::uint32_t slots_ = 0;
  bool sealed_ = false;
};

}  // namespace troupe::kv::disk

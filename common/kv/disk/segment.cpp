#include "common/kv/disk/segment.hpp"

#include <algorithm>

#include "common/base/hash.hpp"

namespace troupe::kv::disk {

Expected<Segment> Segment::create(Folder& folder, const std::string& name, const SegmentFormat& format) {
  auto file = folder.create(name);
  if (!file) return tl::unexpected<Error>(file.error());
  if (auto written = (*file)->write(0, write_segment_header(format)); !written) {
    file->reset();
    (void)folder.remove(name);
    return tl::unexpected<Error>(written.error());
  }
  return Segment(std::move(*file), format);
}

/// How many records a file of `size` bytes has room for, and whether a seal ends it.
Expected<void> Segment::check_size(std::uint64_t size) {
  const std::uint64_t records =
      size < kSegmentHeaderBytes ? 0 : (size - kSegmentHeaderBytes) / record_bytes(format_);
  if (size < kSegmentHeaderBytes || records > UINT32_MAX)
    return fail(Errc::file_malformed, "a segment of " + std::to_string(size) + " bytes");
  slots_ = static_cast<std::uint32_t>(records);
  const std::uint64_t end = record_offset(format_, slots_);
  if (size - end != kSealBytes) return {};
  SealImage image;
  TROUPE_TRY(file_->read(end, image));
  sealed_ = read_seal(image) == slots_;
  return {};
}

Expected<Segment> Segment::open(std::unique_ptr<File> file, const SegmentFormat& format,
                                std::vector<Found>& found) {
  Segment segment(std::move(file), format);
  const auto size = segment.file_->size();
  if (!size) return tl::unexpected<Error>(size.error());
  TROUPE_TRY(segment.check_size(*size));
  SegmentHeaderImage image;
  TROUPE_TRY(segment.file_->read(0, image));
  if (read_segment_header(image) != format)
    return fail(Errc::file_malformed, "no segment of this model and format");
  std::vector<std::byte> kv(segment.sealed_ ? 0 : format.page_bytes);
  std::uint32_t end = 0;
  const std::uint32_t slots = segment.slots_;
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    const auto header = segment.header(slot);
    if (!header && header.error().code != Errc::hash_mismatch) return tl::unexpected<Error>(header.error());
    if (!header) continue;
    const bool near_end =
        (slots - slot) * record_bytes(format) <= std::max(kCheckedBytes, record_bytes(format));
    if (!segment.sealed_ && near_end) {
      const auto whole = segment.read(slot, header->page.key(), kv);
      if (!whole && whole.error().code != Errc::hash_mismatch) return tl::unexpected<Error>(whole.error());
      if (!whole) {  // struck out, or the seal would vouch for it
        TROUPE_TRY(segment.file_->write(record_offset(format, slot), RecordHeaderImage{}));
        continue;
      }
    }
    found.push_back({slot, header->page});
    end = slot + 1;
  }
  if (!segment.sealed_) segment.slots_ = end;
  if (segment.bytes() != *size) TROUPE_TRY(segment.file_->truncate(segment.bytes()));
  return segment;
}

Expected<RecordHeader> Segment::header(std::uint32_t slot) const {
  RecordHeaderImage image;
  TROUPE_TRY(file_->read(record_offset(format_, slot), image));
  auto header = read_record_header(image, format_);
  if (!header)
    return fail(Errc::hash_mismatch, "the header of record " + std::to_string(slot) + " is damaged");
  return std::move(*header);
}

Expected<std::uint32_t> Segment::append(const PageIdentity& page, std::span<const std::byte> kv) {
  TROUPE_CHECK(!sealed_ && kv.size() == format_.page_bytes, "one page's KV, before the seal");
  const std::uint64_t at = record_offset(format_, slots_);
  // The header last: until it is there, the record is not.
  auto written = file_->write(at + kRecordHeaderBytes, kv);
  if (written) written = file_->write(at, write_record_header({page, xxh3_64(kv)}, format_));
  if (!written) {
    (void)file_->truncate(at);  // or the next record is written over it
    return tl::unexpected<Error>(written.error());
  }
  return slots_++;
}

Expected<void> Segment::read(std::uint32_t slot, const BlockKey& page, std::span<std::byte> kv) const {
  const auto record = header(slot);
  if (!record) return tl::unexpected<Error>(record.error());
  TROUPE_TRY(file_->read(record_offset(format_, slot) + kRecordHeaderBytes, kv));
  if (record->page.key() != page || xxh3_64(kv) != record->kv_checksum)
    return fail(Errc::hash_mismatch, "record " + std::to_string(slot) + " is damaged");
  return {};
}

Expected<void> Segment::seal() {
  if (sealed_) return {};
  TROUPE_TRY(file_->sync());
  if (auto written = file_->write(record_offset(format_, slots_), write_seal(slots_)); !written) {
    (void)file_->truncate(record_offset(format_, slots_));
    return written;
  }
  sealed_ = true;
  return {};
}

}  // namespace troupe::kv::disk

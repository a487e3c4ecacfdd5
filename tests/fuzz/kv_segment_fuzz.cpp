// Whatever bytes stand in a segment file: refused, or opened; what was opened reads whole or says that it is
// damaged, takes a further page, and opens to the same pages again.
#include <cstdlib>
#include <cstring>

#include "common/kv/disk/segment.hpp"

namespace {

using namespace troupe;
using namespace troupe::kv::disk;

class BytesFile final : public File {
 public:
  explicit BytesFile(std::vector<std::byte>& bytes) : bytes_(bytes) {}
  Expected<void> read(std::uint64_t offset, std::span<std::byte> to) const override {
    if (offset > bytes_.size() || to.size() > bytes_.size() - offset) return fail(Errc::io_failed, "the end");
    std::memcpy(to.data(), bytes_.data() + offset, to.size());
    return {};
  }
  Expected<void> write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (bytes_.size() < offset + bytes.size()) bytes_.resize(offset + bytes.size());
    std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
    return {};
  }
  Expected<void> truncate(std::uint64_t size) override {
    bytes_.resize(size);
    return {};
  }
  Expected<void> sync() override { return {}; }
  Expected<std::uint64_t> size() const override { return bytes_.size(); }

 private:
  std::vector<std::byte>& bytes_;
};

const SegmentFormat kFormat{{3, 4}, 96};

Expected<Segment> open(std::vector<std::byte>& bytes, std::vector<Segment::Found>& found) {
  return Segment::open(std::make_unique<BytesFile>(bytes), kFormat, found);
}

void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (size != 0) std::memcpy(bytes.data(), data, size);
  std::vector<Segment::Found> found;
  auto segment = open(bytes, found);
  if (!segment) return 0;
  expect(segment->bytes() == bytes.size());
  std::vector<std::byte> kv(kFormat.page_bytes);
  for (const Segment::Found& one : found) {
    const bool whole = segment->read(one.slot, one.page.key(), kv).has_value();
    expect(whole || segment->sealed());  // an unsealed one was checked when it was opened
  }
  if (!segment->sealed()) {
    expect(segment->append(PageIdentity{}, kv).has_value());
    expect(segment->seal().has_value());
    found.push_back({segment->slots() - 1, {}});
  }
  std::vector<Segment::Found> again;
  const auto reopened = open(bytes, again);
  expect(reopened.has_value() && reopened->sealed() && again.size() == found.size());
  return 0;
}

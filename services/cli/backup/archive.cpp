// POSIX.1-1988 ustar: a header block of 512 bytes, the content padded to whole blocks, two empty blocks at
// the end.
#include "services/cli/backup/archive.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace troupe::cli {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameBytes = 100;
// Where a header's fields begin.
constexpr std::size_t kMode = 100, kUser = 108, kGroup = 116, kSize = 124, kTime = 136, kSum = 148,
                      kType = 156, kMagic = 257;

void put_octal(std::string& block, std::size_t at, int digits, std::size_t value) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%0*zo", digits, value);
  block.replace(at, static_cast<std::size_t>(digits), text.data());
}

std::string header(const ArchiveFile& file) {
  std::string block(kBlock, '\0');
  block.replace(0, file.name.size(), file.name);
  put_octal(block, kMode, 7, 0600);
  put_octal(block, kUser, 7, 0);
  put_octal(block, kGroup, 7, 0);
  put_octal(block, kSize, 11, file.content.size());
  put_octal(block, kTime, 11, 0);
  block[kType] = '0';
  block.replace(kMagic, 8, std::string_view("ustar\00000", 8));
  block.replace(kSum, 8, "        ");  // counts as blanks in its own sum
  std::size_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put_octal(block, kSum, 6, sum);
  block[kSum + 6] = '\0';
  return block;
}

std::size_t padded(std::size_t bytes) {
  return (bytes + kBlock - 1) / kBlock * kBlock;
}

tl::unexpected<Error> malformed(std::string what) {
  return fail(Errc::file_malformed, "this is no backup, or a damaged one: " + std::move(what));
}

/// Octal digits up to a NUL.
Expected<std::size_t> octal(std::string_view field) {
  std::size_t value = 0;
  for (const char c : field.substr(0, field.find('\0'))) {
    if (c < '0' || c > '7') return malformed("a size is no number");
    value = value * 8 + static_cast<std::size_t>(c - '0');
  }
  return value;
}

}  // namespace

std::string write_archive(std::span<const ArchiveFile> files) {
  std::string bytes;
  for (const ArchiveFile& file : files) {
    TROUPE_CHECK(!file.name.empty() && file.name.size() < kNameBytes, file.name);
    bytes += header(file);
    bytes += file.content;
    bytes.resize(padded(bytes.size()), '\0');
  }
  bytes.append(2 * kBlock, '\0');
  return bytes;
}

Expected<std::vector<ArchiveFile>> read_archive(std::string_view bytes) {
  if (bytes.size() > kLargestArchive) return malformed("it is over 64 MiB");
  std::vector<ArchiveFile> files;
  std::size_t at = 0;
  while (at + kBlock <= bytes.size() && bytes[at] != '\0') {
    const std::string_view block = bytes.substr(at, kBlock);
    const auto size = octal(block.substr(kSize, 11));
    if (!size) return tl::unexpected<Error>(size.error());
    at += kBlock;
    if (*size > bytes.size() - at) return malformed("it is cut short");
    if (files.size() == kMostArchiveFiles) return malformed("it has too many files");
    const std::string_view name = block.substr(0, std::min(block.find('\0'), kNameBytes - 1));
    files.push_back({std::string(name), std::string(bytes.substr(at, *size))});
    at += padded(*size);
  }
  // Whatever is not looked at above must be as it was written, too.
  if (write_archive(files) != bytes) return malformed("bytes differ from what its content says");
  return files;
}

}  // namespace troupe::cli

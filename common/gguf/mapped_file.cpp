#include "common/base/file_mapping.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe::gguf {
namespace {

struct MappedFile {
  FileMapping mapping;  // outlives `file`, whose views point into it
  std::shared_ptr<const File> file;
};

}  // namespace

Expected<std::shared_ptr<const File>> File::open(const std::filesystem::path& path) {
  auto mapped = std::make_shared<MappedFile>();
  TROUPE_TRY(mapped->mapping.map(path));
  auto file = parse(mapped->mapping.bytes(), path.string(), File::Bytes::mapping);
  if (!file) return file;
  mapped->file = std::move(*file);
  const File* view = mapped->file.get();
  return std::shared_ptr<const File>(std::move(mapped), view);
}

}  // namespace troupe::gguf

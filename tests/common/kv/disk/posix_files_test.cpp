#include <filesystem>
#include <fstream>

#include <csignal>
#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "common/kv/disk/page_store.hpp"
#include "tests/common/kv/disk/memory_folder.hpp"

namespace troupe::kv::disk {
namespace {

struct PosixFiles : ::testing::Test {
  std::filesystem::path path = std::filesystem::temp_directory_path() /
                               ("troupe-disk-" + std::to_string(::getpid()) + "-" +
                                ::testing::UnitTest::GetInstance()->current_test_info()->name());
  ~PosixFiles() override { std::filesystem::remove_all(path); }
};

TEST_F(PosixFiles, AFolderIsNeverShared) {
  auto first = lock_folder(path.string());
  ASSERT_TRUE(first.has_value());
  ASSERT_TRUE((*first)->create("a").has_value());
  auto second = lock_folder(path.string());
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE((*second)->list()->empty());
  first->reset();
  const auto again = lock_folder(path.string());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ((*again)->list()->size(), 1U) << "what the first one left";
}

TEST_F(PosixFiles, TheFullestFreeFolderIsTaken) {
  {
    auto first = lock_folder(path.string()), second = lock_folder(path.string()),
         third = lock_folder(path.string());
    ASSERT_TRUE((*(*first)->create("a"))->write(0, std::vector<std::byte>(10)).has_value());
    ASSERT_TRUE((*(*second)->create("b"))->write(0, std::vector<std::byte>(30)).has_value());
    ASSERT_TRUE((*(*third)->create("c"))->write(0, std::vector<std::byte>(20)).has_value());
  }
  const auto first = lock_folder(path.string()), second = lock_folder(path.string());
  EXPECT_EQ((*first)->list()->at(0), "b");
  EXPECT_EQ((*second)->list()->at(0), "c");
}

TEST_F(PosixFiles, WhatCannotBeDoneSaysWhy) {
  auto folder = *lock_folder(path.string());
  ASSERT_TRUE(folder->create("a").has_value());
  for (const auto& error :
       {folder->create("a").error(), folder->open("b").error(), folder->remove("b").error()}) {
    EXPECT_EQ(error.code, Errc::io_failed);
    EXPECT_NE(error.detail.find(path.string()), std::string::npos) << error.detail;
  }
  auto file = *folder->open("a");
  std::byte one{};
  EXPECT_FALSE(file->read(0, {&one, 1}).has_value()) << "the file is empty";
  std::ofstream(path / "file") << "x";
  EXPECT_FALSE(lock_folder((path / "file").string()).has_value());
}

/// Files of this process may have `bytes` at most, as if the disk had no more.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(PosixFiles, AStoreOutlivesAFileSystemThatTakesNoMore) {
  auto store = *PageStore::open(*lock_folder(path.string()), kFormat, {1 << 20, 1 << 18});
  ASSERT_TRUE(store->put(page_of(1), kv_of(1)).has_value());
  {
    const FileSizeLimit limit(store->bytes() + 500);
    const auto refused = store->put(page_of(2), kv_of(2));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::io_failed);
  }
  std::vector<std::byte> kv(kFormat.page_bytes);
  EXPECT_TRUE(store->get(page_of(1).key(), kv).value());
  ASSERT_TRUE(store->put(page_of(3), kv_of(3)).has_value());
  store.reset();
  store = *PageStore::open(*lock_folder(path.string()), kFormat, {1 << 20, 1 << 18});
  EXPECT_EQ(store->pages(), 2U);
  EXPECT_FALSE(store->holds(page_of(2).key()));
}

TEST_F(PosixFiles, AStoreOnThemComesBack) {
  const StoreOptions options{1 << 20, 4096};
  {
    auto store = *PageStore::open(*lock_folder(path.string()), kFormat, options);
    for (std::uint64_t i = 1; i <= 7; ++i) ASSERT_TRUE(store->put(page_of(i), kv_of(i)).has_value());
  }
  // The process died while it wrote: the youngest file ends inside a record.
  std::filesystem::path youngest;
  for (const auto& entry : std::filesystem::directory_iterator(path / "0"))
    if (entry.path().extension() == ".seg" && entry.path() > youngest) youngest = entry.path();
  std::filesystem::resize_file(youngest, std::filesystem::file_size(youngest) - 10);
  auto store = *PageStore::open(*lock_folder(path.string()), kFormat, options);
  EXPECT_EQ(store->pages(), 6U);
  std::vector<std::byte> kv(kFormat.page_bytes);
  for (std::uint64_t i = 1; i <= 6; ++i) {
    ASSERT_TRUE(store->get(page_of(i).key(), kv).value());
    EXPECT_EQ(kv, kv_of(i));
  }
}

}  // namespace
}  // namespace troupe::kv::disk

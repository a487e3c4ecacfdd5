#include "services/gateway/batches/batch_store.hpp"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <set>

#include "tests/support/key_folder.hpp"

namespace troupe::gateway {
namespace {

namespace fs = std::filesystem;

const RequestId kAnna{1, 1}, kBen{2, 2};

BatchStore open(const test::SecretFolder& folder) {
  auto store = BatchStore::open(folder / "store");
  EXPECT_TRUE(store) << to_string(store.error());
  return std::move(*store);
}

FileRecord add_file(BatchStore& store, const RequestId& owner, const std::string& content,
                    std::int64_t expires = 0) {
  auto writer = store.new_content();
  EXPECT_TRUE(writer && writer->write(content));
  auto file = store.add_file({"", owner, "in.jsonl", "batch", 0, 100, expires}, *writer);
  EXPECT_TRUE(file);
  return *file;
}

Batch add_batch(BatchStore& store, const RequestId& owner, std::int64_t lines,
                const std::string& input = "file-x") {
  Batch batch;
  batch.id = "batch_" + to_hex(random_id<RequestId>());
  batch.owner = owner;
  batch.tenant = "t";
  batch.input_file = input;
  batch.endpoint = "/v1/completions";
  batch.metadata = "null";
  batch.output_lifetime = 50;
  batch.begin(1000, 100);
  EXPECT_TRUE(store.add_batch(batch));
  for (std::int64_t line = 1; line <= lines; ++line)
    EXPECT_TRUE(store.add_line(batch.serial, {line, line * 10, 9, "id-" + std::to_string(line)}).value());
  batch.validated(lines, {}, 1001);
  EXPECT_TRUE(store.save(batch));
  return batch;
}

LineResult result(std::int64_t line, bool failed = false) {
  return {line, failed, "result " + std::to_string(line) + "\n", {1, 2, 3, 4}};
}

std::string content(const BatchStore& store, const std::string& id) {
  return test::text_of_file(store.content_of(id));
}

TEST(BatchStore, KeepsFilesOfOwnersApart) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  const FileRecord mine = add_file(store, kAnna, "hello");
  EXPECT_TRUE(mine.id.starts_with("file-"));
  EXPECT_EQ(mine.bytes, 5);
  EXPECT_EQ(content(store, mine.id), "hello");
  EXPECT_EQ(store.file(kAnna, mine.id, 100).value()->name, "in.jsonl");
  EXPECT_FALSE(store.file(kBen, mine.id, 100).value());
  EXPECT_FALSE(store.file(kAnna, "../batches.sqlite", 100).value());
  EXPECT_FALSE(store.remove_file(kBen, mine.id).value());
  EXPECT_EQ(store.held(kAnna)->files, 1);
  EXPECT_EQ(store.held(kAnna)->bytes, 5);
  EXPECT_EQ(store.held(kBen)->files, 0);
  EXPECT_TRUE(store.remove_file(kAnna, mine.id).value());
  EXPECT_FALSE(fs::exists(store.content_of(mine.id)));
  EXPECT_FALSE(store.file(kAnna, mine.id, 100).value());
}

TEST(BatchStore, ListsByPages) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(add_file(store, kAnna, "x").id);
  add_file(store, kBen, "x");
  const auto page = [&](PageAsked asked) {
    std::vector<std::string> found;
    const auto files = store.files(kAnna, asked, 100);
    EXPECT_TRUE(files);
    for (const FileRecord& file : *files) found.push_back(file.id);
    return found;
  };
  EXPECT_EQ(page({"", 2, true, ""}), (std::vector<std::string>{ids[4], ids[3]}));
  EXPECT_EQ(page({ids[3], 2, true, ""}), (std::vector<std::string>{ids[2], ids[1]}));
  EXPECT_EQ(page({ids[1], 20, false, "batch"}), (std::vector<std::string>{ids[2], ids[3], ids[4]}));
  EXPECT_TRUE(page({"", 20, true, "batch_output"}).empty());
  const Batch first = add_batch(store, kAnna, 1), second = add_batch(store, kAnna, 1);
  add_batch(store, kBen, 1);
  EXPECT_EQ(store.batches(kAnna, {"", 20, true, ""}).value().front().id, second.id);
  EXPECT_EQ(store.batches(kAnna, {second.id, 20, true, ""}).value().front().id, first.id);
  EXPECT_EQ(store.batches(kAnna, {first.id, 20, true, ""}).value().size(), 0u);
}

TEST(BatchStore, FilesExpireButNotUnderABatchThatReadsThem) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  const FileRecord read = add_file(store, kAnna, "x", 500), other = add_file(store, kAnna, "y", 500);
  Batch batch = add_batch(store, kAnna, 1, read.id);
  EXPECT_TRUE(store.in_use(read.id).value());
  EXPECT_FALSE(store.in_use(other.id).value());
  EXPECT_TRUE(store.file(kAnna, read.id, 499).value());
  EXPECT_FALSE(store.file(kAnna, read.id, 500).value());
  ASSERT_TRUE(store.sweep(500, 0));
  EXPECT_TRUE(fs::exists(store.content_of(read.id)));
  EXPECT_FALSE(fs::exists(store.content_of(other.id)));
  ASSERT_TRUE(batch.settle(0, 2000));
  ASSERT_TRUE(store.finish(batch, nullptr, nullptr, 2000));
  ASSERT_TRUE(store.sweep(2000, 0));
  EXPECT_FALSE(fs::exists(store.content_of(read.id)));
  EXPECT_TRUE(store.batch(kAnna, batch.id).value());
  ASSERT_TRUE(store.sweep(2000, 1101)) << "it would have expired at 1100";
  EXPECT_FALSE(store.batch(kAnna, batch.id).value());
}

TEST(BatchStore, ABatchReadsBackAsItWasSaved) {
  const test::SecretFolder folder;
  Batch batch;
  {
    BatchStore store = open(folder);
    batch = add_batch(store, kAnna, 2);
    batch.key = "alice";
    batch.model = "m";
    batch.metadata = R"({"k":"v"})";
    batch.ran_out = true;
    batch.usage = {1, 2, 3, 4};
    batch.error_file = "file-e";
    ASSERT_TRUE(store.save(batch));
  }
  BatchStore store = open(folder);
  const auto read = store.batch(kAnna, batch.id).value();
  ASSERT_TRUE(read);
  EXPECT_EQ(to_json(*read), to_json(batch));
  EXPECT_EQ(read->serial, batch.serial);
  EXPECT_EQ(read->owner, kAnna);
  EXPECT_EQ(read->tenant, "t");
  EXPECT_EQ(read->key, "alice");
  EXPECT_TRUE(read->ran_out);
  EXPECT_EQ(read->output_lifetime, 50);
  ASSERT_EQ(store.open_batches()->size(), 1u);
}

TEST(BatchStore, ACustomIdIsThereOnceInABatch) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  const Batch batch = add_batch(store, kAnna, 1), other = add_batch(store, kAnna, 0);
  EXPECT_FALSE(store.add_line(batch.serial, {2, 0, 1, "id-1"}).value());
  EXPECT_TRUE(store.add_line(other.serial, {2, 0, 1, "id-1"}).value());
  ASSERT_TRUE(store.clear_lines(batch.serial));
  EXPECT_TRUE(store.add_line(batch.serial, {2, 0, 1, "id-1"}).value());
}

TEST(BatchStore, ALineHasOneResultAndCountsOnce) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  Batch batch = add_batch(store, kAnna, 4);
  ASSERT_TRUE(store.add_results(batch, {result(2), result(3, true)}));
  ASSERT_TRUE(store.add_results(batch, {{2, true, "another\n", {}}, result(4)}));
  EXPECT_EQ(batch.completed, 2);
  EXPECT_EQ(batch.failed, 1);
  EXPECT_EQ(batch.usage.completion_tokens, 9) << "of three results";
  EXPECT_EQ(store.batch(kAnna, batch.id).value()->completed, 2);
  const auto results = store.results(batch.serial, 0, 10).value();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].text, "result 2\n");
  EXPECT_TRUE(results[1].failed);
  const auto left = store.unanswered(batch.serial, 0, 10).value();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].line, 1);
  EXPECT_EQ(left[0].start, 10);
  EXPECT_EQ(left[0].custom_id, "id-1");
}

TEST(BatchStore, AnEndedBatchHasItsFilesAndNothingElse) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  Batch batch = add_batch(store, kAnna, 1);
  ASSERT_TRUE(store.add_results(batch, {result(1)}));
  ASSERT_TRUE(batch.settle(0, 1010));
  auto output = store.new_content();
  ASSERT_TRUE(output && output->write("result 1\n"));
  ASSERT_TRUE(store.finish(batch, &*output, nullptr, 1011));
  EXPECT_EQ(batch.status, BatchStatus::completed);
  EXPECT_EQ(content(store, batch.output_file), "result 1\n");
  EXPECT_EQ(batch.error_file, "");
  const auto file = store.file(kAnna, batch.output_file, 1012).value();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->purpose, "batch_output");
  EXPECT_EQ(file->expires, 1061);
  EXPECT_TRUE(store.results(batch.serial, 0, 10)->empty());
  EXPECT_TRUE(store.unanswered(batch.serial, 0, 10)->empty());
  EXPECT_TRUE(store.open_batches()->empty());
}

TEST(BatchStore, OneGatewayHasIt) {
  const test::SecretFolder folder;
  std::optional<BatchStore> first(open(folder));
  const auto second = BatchStore::open(folder / "store");
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().detail.find("another gateway's"), std::string::npos) << second.error().detail;
  first.reset();
  EXPECT_TRUE(BatchStore::open(folder / "store"));
}

TEST(BatchStore, RefusesWhatALaterReleaseMade) {
  const test::SecretFolder folder;
  { open(folder); }
  {
    auto database = Database::open((folder / "store" / kBatchDatabase).string());
    ASSERT_TRUE(database && database->execute("PRAGMA user_version = 99"));
  }
  const auto store = BatchStore::open(folder / "store");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::file_unsupported);
  EXPECT_NE(store.error().detail.find("version 99"), std::string::npos);
}

TEST(BatchStore, RemovesContentsThatNothingNamesAndIsClosedToOthers) {
  const test::SecretFolder folder;
  std::string kept;
  {
    BatchStore store = open(folder);
    kept = add_file(store, kAnna, "x").id;
    std::ofstream(store.content_of("new-1")) << "half of an upload";
    std::ofstream(store.content_of("file-0")) << "output of a batch that was not committed";
  }
  BatchStore store = open(folder);
  EXPECT_TRUE(fs::exists(store.content_of(kept)));
  EXPECT_FALSE(fs::exists(store.content_of("new-1")));
  EXPECT_FALSE(fs::exists(store.content_of("file-0")));
  EXPECT_EQ(fs::status(folder / "store").permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(folder / "store" / kBatchDatabase).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST(BatchStore, AnUploadThatIsNotKeptLeavesNothing) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  {
    auto writer = store.new_content();
    ASSERT_TRUE(writer && writer->write(std::string(1 << 20, 'x')));
    EXPECT_FALSE(fs::is_empty(folder / "store" / "files"));
  }
  EXPECT_TRUE(fs::is_empty(folder / "store" / "files"));
}

/// Runs `work` in a process that then dies of SIGKILL, as a gateway may at any moment.
template <class Work>
void in_a_process_that_is_killed(Work work) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    work();
    ::kill(::getpid(), SIGKILL);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(BatchStore, AKilledProcessLeavesWhatItCommittedAndTheLock) {
  const test::SecretFolder folder;
  std::string id;
  {
    BatchStore store = open(folder);
    id = add_batch(store, kAnna, 3).id;
  }
  in_a_process_that_is_killed([&] {
    BatchStore store = open(folder);
    Batch batch = *store.batch(kAnna, id).value();
    (void)store.add_results(batch, {result(1)});
    auto transaction = store.transaction();
    (void)store.save(batch);
    (void)store.clear_lines(batch.serial);  // never committed
    auto writer = store.new_content();
    (void)writer->write("half");
  });
  BatchStore store = open(folder);
  Batch batch = *store.batch(kAnna, id).value();
  EXPECT_EQ(batch.completed, 1);
  ASSERT_EQ(store.unanswered(batch.serial, 0, 10)->size(), 2u);
  EXPECT_TRUE(fs::is_empty(folder / "store" / "files"));
  ASSERT_TRUE(store.add_results(batch, {result(1), result(2), result(3)}));
  EXPECT_EQ(batch.completed, 3) << "line 1 had its result before";
}

TEST(BatchStore, IsCopiedWhileItIsWritten) {
  const test::SecretFolder folder;
  BatchStore store = open(folder);
  Batch batch = add_batch(store, kAnna, 3);
  ASSERT_TRUE(store.add_results(batch, {result(1)}));
  ASSERT_TRUE(copy_batch_database(folder / "store", folder / "copy"));
  ASSERT_TRUE(store.add_results(batch, {result(2)}));
  auto copy = Database::open((folder / "copy").string());
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->number("SELECT count(*) FROM results").value(), 1);
  EXPECT_EQ(copy->number("SELECT count(*) FROM lines").value(), 3);
}

}  // namespace
}  // namespace troupe::gateway

#include "services/gateway/batches/multipart.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace troupe::gateway {
namespace {

/// What a form held, one entry per field and file.
struct Form {
  std::vector<std::string> seen;
  std::string code;
  bool ended = false;
};

MultipartReader::Handler into(Form& form) {
  return {[&form](std::string name, std::string value) {
            form.seen.push_back(name + "=" + value);
            return Parsed<void>();
          },
          [&form](std::string name, std::string filename) {
            form.seen.push_back(name + "@" + filename + ":");
            return Parsed<void>();
          },
          [&form](std::string_view bytes) {
            form.seen.back() += bytes;
            return Parsed<void>();
          }};
}

Form read(std::string_view body, std::size_t piece = 1 << 20, const std::string& boundary = "b") {
  Form form;
  MultipartReader reader(boundary, into(form));
  for (std::size_t at = 0; at < body.size(); at += piece) {
    if (const auto fed = reader.feed(body.substr(at, piece)); !fed) {
      form.code = fed.error().code;
      break;
    }
  }
  form.ended = reader.ended();
  return form;
}

std::string part(const std::string& disposition, const std::string& content, const std::string& more = {}) {
  return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n" + more + "\r\n" + content + "\r\n";
}

TEST(Multipart, ReadsFieldsAndFilesHoweverTheyArrive) {
  const std::string tricky = "\r\n--\r\n--c\r\n-\r\r\n--a line\n\0x";
  const std::string body =
      part("name=\"purpose\"", "batch") +
      part("name=\"file\"; filename=\"a; \\\"b\\\".jsonl\"", tricky, "Content-Type: application/jsonl\r\n") +
      part("name=empty; filename=\"\"", "") + "--b--\r\nafterwards";
  const std::vector<std::string> expected{"purpose=batch", "file@a; \"b\".jsonl:" + tricky, "empty@:"};
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    const Form form = read(body, piece);
    ASSERT_EQ(form.seen, expected) << "in pieces of " << piece;
    ASSERT_TRUE(form.ended);
    ASSERT_EQ(form.code, "");
  }
}

TEST(Multipart, TakesAPreambleAndBlanksBehindDelimiters) {
  const Form form = read("hello\r\n--b \t\r\ncontent-disposition: form-data; NAME=\"x\"\r\n\r\n1\r\n--b--");
  EXPECT_EQ(form.seen, std::vector<std::string>{"x=1"});
  EXPECT_TRUE(form.ended);
}

TEST(Multipart, NamesAreDataWhateverTheySay) {
  const Form form = read(part("name=\"file\"; filename=\"../../etc/passwd\"", "x") + "--b--");
  EXPECT_EQ(form.seen, std::vector<std::string>{"file@../../etc/passwd:x"});
}

TEST(Multipart, RefusesWhatIsNone) {
  const std::string head(10'000, 'h');
  for (const std::string& body :
       {std::string("--bX\r\n"), std::string("--b") + std::string(400, ' '),
        std::string("--b\r\n\r\nno name\r\n--b--"),
        std::string("--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"), std::string("--b\r\n") + head,
        std::string(10'000, 'p'), part("name=\"f\"", std::string(5000, 'v')) + "--b--"}) {
    EXPECT_EQ(read(body).code, "malformed_multipart") << body.substr(0, 60);
    EXPECT_EQ(read(body, 7).code, "malformed_multipart") << body.substr(0, 60);
  }
  std::string many;
  for (int i = 0; i < 17; ++i) many += part("name=\"f\"", "v");
  EXPECT_EQ(read(many).code, "malformed_multipart");
}

TEST(Multipart, AFormThatIsCutHasNotEnded) {
  const std::string body = part("name=\"file\"; filename=\"f\"", "content") + "--b--";
  for (std::size_t size = 0; size < body.size(); ++size)
    EXPECT_FALSE(read(body.substr(0, size)).ended) << size;
}

TEST(Multipart, AnErrorOfItsHandlerEndsIt) {
  MultipartReader::Handler handler;
  int calls = 0;
  handler.field = [&](const std::string&, const std::string&) -> Parsed<void> {
    ++calls;
    return refuse("stop", "", "");
  };
  MultipartReader reader("b", std::move(handler));
  const std::string body = part("name=\"a\"", "1") + part("name=\"b\"", "2") + "--b--";
  const auto fed = reader.feed(body);
  ASSERT_FALSE(fed);
  EXPECT_EQ(fed.error().code, "stop");
  EXPECT_TRUE(reader.feed(body)) << "nothing is read any more";
  EXPECT_EQ(calls, 1);
}

TEST(Multipart, NoBytesCrashItAndContentIsNeverInvented) {
  std::mt19937 random(7);
  const std::vector<std::string> words{"--b",
                                       "\r\n",
                                       "--",
                                       "\r",
                                       "\n",
                                       "Content-Disposition: form-data; name=\"f\"",
                                       "; filename=\"x\"",
                                       "\"",
                                       "\\",
                                       ";",
                                       "=",
                                       ":",
                                       " ",
                                       std::string(1, '\0'),
                                       "\xff",
                                       "data"};
  for (int round = 0; round < 3000; ++round) {
    std::string body;
    for (int i = 0; i < 40; ++i) body += words[random() % words.size()];
    const Form whole = read(body), pieces = read(body, 1 + random() % 5);
    EXPECT_EQ(whole.seen, pieces.seen);
    EXPECT_EQ(whole.code, pieces.code);
    std::size_t bytes = 0;
    for (const std::string& entry : whole.seen) bytes += entry.size();
    EXPECT_LE(bytes, body.size() + 2 * whole.seen.size());
  }
}

TEST(Multipart, FindsTheBoundary) {
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc").value(), "abc");
  EXPECT_EQ(multipart_boundary("Multipart/Form-Data; charset=x; Boundary=\"a b;c\"").value(), "a b;c");
  for (const char* wrong : {"", "application/json", "multipart/mixed; boundary=a"})
    EXPECT_EQ(multipart_boundary(wrong).error().status, 415) << wrong;
  const std::string long_one = "multipart/form-data; boundary=" + std::string(71, 'x');
  for (const char* wrong : {"multipart/form-data", "multipart/form-data; boundary=",
                            "multipart/form-data; boundary=\"\"", long_one.c_str()})
    EXPECT_EQ(multipart_boundary(wrong).error().code, "malformed_multipart") << wrong;
}

}  // namespace
}  // namespace troupe::gateway

#include "common/kv_events/msgpack_reader.hpp"

#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe::kv_events {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Json = nlohmann::json;

/// What the reader sees, as JSON; none: it refuses.
std::optional<Json> seen(MsgpackReader& reader, int depth = 0) {
  MsgpackItem item;
  if (depth > 40 || !reader.next(item)) return std::nullopt;
  switch (item.kind) {
    case MsgpackKind::nil:
      return Json();
    case MsgpackKind::boolean:
      return Json(item.number != 0);
    case MsgpackKind::integer:
      return item.negative ? Json(static_cast<std::int64_t>(item.number)) : Json(item.number);
    case MsgpackKind::real:
      return Json(item.real);
    case MsgpackKind::text:
      return Json(item.text());
    case MsgpackKind::bytes:
      return Json::binary({item.data.begin(), item.data.end()});
    case MsgpackKind::array:
    case MsgpackKind::map:
      break;
  }
  Json out = item.kind == MsgpackKind::array ? Json::array() : Json::object();
  for (std::uint64_t i = 0; i < item.number; ++i) {
    auto first = seen(reader, depth + 1);
    if (!first) return std::nullopt;
    if (item.kind == MsgpackKind::array) {
      out.push_back(std::move(*first));
      continue;
    }
    auto value = seen(reader, depth + 1);
    if (!value || !first->is_string()) return std::nullopt;
    out[first->get<std::string>()] = std::move(*value);
  }
  return out;
}

TEST(MsgpackReader, SeesEveryFormatAsAnotherReaderDoes) {
  const Json text = std::string(40, 'x'), long_text = std::string(300, 'y'),
             longest = std::string(70000, 'z');
  Json many = Json::array(), wide = Json::array(), map = Json::object();
  for (int i = 0; i < 70000; ++i) many.push_back(i % 5);
  for (int i = 0; i < 20; ++i) wide.push_back(i), map[std::string("k").append(std::to_string(i))] = i;
  for (const Json& value : {Json(),
                            Json(true),
                            Json(false),
                            Json(0),
                            Json(127),
                            Json(128),
                            Json(255),
                            Json(256),
                            Json(65535),
                            Json(65536),
                            Json(4294967295u),
                            Json(4294967296ull),
                            Json(UINT64_MAX),
                            Json(-1),
                            Json(-32),
                            Json(-33),
                            Json(-128),
                            Json(-129),
                            Json(-32768),
                            Json(-32769),
                            Json(-2147483648ll),
                            Json(-2147483649ll),
                            Json(INT64_MIN),
                            Json(1.5),
                            Json(-1e300),
                            Json("x"),
                            text,
                            long_text,
                            longest,
                            many,
                            wide,
                            map,
                            Json::array(),
                            Json::object(),
                            Json::binary(Bytes(16, 7)),
                            Json::binary(Bytes(300, 8)),
                            Json::binary(Bytes(70000, 9)),
                            Json::array({Json::array({1, Json::object({{"a", Json::array()}})}), "b"})}) {
    const Bytes bytes = Json::to_msgpack(value);
    MsgpackReader reader(bytes), passing(bytes);
    const auto got = seen(reader);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(*got, value);
    EXPECT_EQ(reader.left(), 0u);
    EXPECT_TRUE(passing.skip());
    EXPECT_EQ(passing.left(), 0u) << "and passes over it whole";
  }
}

TEST(MsgpackReader, SignedFormatsOfPositiveNumbersArePositive) {
  for (const Bytes& bytes :
       {Bytes{0xD0, 5}, Bytes{0xD1, 0, 5}, Bytes{0xD2, 0, 0, 0, 5}, Bytes{0xD3, 0, 0, 0, 0, 0, 0, 0, 5}}) {
    MsgpackReader reader(bytes);
    MsgpackItem item;
    ASSERT_TRUE(reader.next(item));
    EXPECT_TRUE(item.is_unsigned());
    EXPECT_EQ(item.number, 5u);
  }
}

TEST(MsgpackReader, ExtensionsAreTheBytesTheyHold) {
  for (const Bytes& bytes : {Bytes{0xD5, 1, 7, 8}, Bytes{0xC7, 2, 1, 7, 8}, Bytes{0xC8, 0, 2, 1, 7, 8}}) {
    MsgpackReader reader(bytes);
    MsgpackItem item;
    ASSERT_TRUE(reader.next(item));
    EXPECT_EQ(item.kind, MsgpackKind::bytes);
    EXPECT_EQ(Bytes(item.data.begin(), item.data.end()), (Bytes{7, 8}));
    EXPECT_EQ(reader.left(), 0u);
  }
}

TEST(MsgpackReader, WhatIsCutOffIsRefusedWhereverItIsCut) {
  const Json value = {{"a", {1, 300, 70000, -5000, 1.25, nullptr, "text"}},
                      {"b", Json::binary(Bytes(300, 1))}};
  const Bytes whole = Json::to_msgpack(value);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    MsgpackReader reader{std::span(whole).first(size)};
    EXPECT_FALSE(reader.skip()) << size;
  }
  const Bytes unused{0xC1};
  EXPECT_FALSE(MsgpackReader(unused).skip());
}

TEST(MsgpackReader, ACountThatNothingFollowsCostsNothing) {
  const Bytes bytes{0xDD, 0xFF, 0xFF, 0xFF, 0xFF};
  MsgpackReader reader(bytes);
  EXPECT_FALSE(reader.skip());
}

TEST(MsgpackReader, PassesOverSoManyLevelsAndNoMore) {
  Bytes nested(MsgpackReader::kMaxDepth, 0x91);
  nested.push_back(1);
  EXPECT_TRUE(MsgpackReader(nested).skip());
  EXPECT_FALSE(MsgpackReader(nested).skip(MsgpackReader::kMaxDepth - 1));
  nested.insert(nested.begin(), 0x91);
  EXPECT_FALSE(MsgpackReader(nested).skip());
}

TEST(MsgpackReader, NeverReadsBeyondItsBytes) {
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(random() % 40);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    const Bytes exact(bytes);  // an address check sees a byte too many
    MsgpackReader reader(exact), passing(exact);
    const auto got = seen(reader);
    EXPECT_LE(reader.offset(), exact.size());
    if (got && passing.skip()) {
      EXPECT_EQ(passing.offset(), reader.offset());
    }
  }
}

}  // namespace
}  // namespace troupe::kv_events

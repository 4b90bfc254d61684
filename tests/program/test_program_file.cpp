// Programs in files, sound ones and hostile ones.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;

namespace {

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
// The bytes with the right hash at their end: what a writer with bad intentions would make.
std::string with_hash(std::string bytes) {
  bytes.resize(bytes.size() - 8);
  std::uint64_t h = 0xcbf29ce484222325u;
  for (char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  bytes.append(reinterpret_cast<const char*>(&h), sizeof h);
  return bytes;
}
std::string with_u32(std::string bytes, std::size_t at, std::uint32_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  return with_hash(std::move(bytes));
}

struct Fixture {
  wengert::testing::TemporaryFolder folder;
  std::string path = folder.path("program");

  std::string sound() {
    const Program program = record(
        [](auto p, auto d) {
          const auto h = p[0] * d[0];
          return h < 0.5 ? clamp(h, -1, 2) : exp(h);
        },
        {.parameters = 1, .data = 1}, {1.0, 2.0});
    const std::vector<double> p{1}, x{0.25, 3};
    program.values(p, {x});
    write_program(path, program);
    return contents_of(path);
  }
  std::string refused(const std::string& bytes) {
    write(path, bytes);
    return message_of<DataError>([&] { read_program(path); });
  }
  // Behind the opcode names: parameters, data, outputs, paths, then of the first path constants, instructions, guards.
  std::size_t counts(const std::string& bytes) {
    std::uint32_t n = 0;
    std::memcpy(&n, bytes.data() + 12, sizeof n);
    std::size_t at = 16;
    for (std::uint32_t i = 0; i < n; ++i) at += 1 + static_cast<unsigned char>(bytes[at]);
    return at;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_program_is_read_as_it_was_written, Fixture) {
  sound();
  const Program program = read_program(path);
  BOOST_TEST(program.paths() == 2);
  BOOST_TEST(program.parameters() == 1);
  BOOST_TEST(program.data() == 1);
  const std::vector<double> p{1}, x{0.25, 3, -4}, y = program.values(p, {x});
  BOOST_TEST(y == (std::vector{0.25, std::exp(3.0), -1.0}), boost::test_tools::per_element());
  BOOST_TEST(contains(program.list().guards[0].site, "test_program_file.cpp:"));
  write_program(path, program);
  BOOST_TEST((read_program(path) == program));
}

BOOST_FIXTURE_TEST_CASE(truncated_and_damaged_files_are_refused, Fixture) {
  const std::string bytes = sound();
  for (std::size_t size = 0; size < bytes.size(); size += 3) refused(bytes.substr(0, size));
  // The same with the right hash at the end, so that the reader goes on.
  for (std::size_t size = 24; size < bytes.size(); size += 3) refused(with_hash(bytes.substr(0, size)));
  for (std::size_t at = 0; at < bytes.size(); at += 7) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    refused(damaged);
  }
  BOOST_TEST(contains(refused(bytes + "x"), "hash"));
  BOOST_TEST(contains(refused("hello, world, this is no program"), "does not begin as"));
  BOOST_TEST(contains(refused(with_u32(bytes, 8, 2)), "version is 2"));
}

BOOST_FIXTURE_TEST_CASE(hostile_files_are_refused, Fixture) {
  const std::string bytes = sound();
  const std::size_t at = counts(bytes);
  std::uint32_t constants = 0, instructions = 0;
  std::memcpy(&constants, bytes.data() + at + 16, 4);
  std::memcpy(&instructions, bytes.data() + at + 20, 4);
  BOOST_REQUIRE(instructions == 3u);  // h, the comparison and exp
  const std::size_t first = at + 28 + 8 * constants;
  BOOST_TEST(contains(refused(with_u32(bytes, at, 0xffffffff)), "values"));            // inputs
  BOOST_TEST(contains(refused(with_u32(bytes, at + 4, 0x80000000)), "values"));        // data
  BOOST_TEST(contains(refused(with_u32(bytes, at + 8, 0xffffffff)), "announces"));     // outputs
  BOOST_TEST(contains(refused(with_u32(bytes, at + 12, 0xffffffff)), "announces"));    // paths
  BOOST_TEST(contains(refused(with_u32(bytes, at + 16, 0xffffffff)), "announces"));    // constants
  BOOST_TEST(contains(refused(with_u32(bytes, at + 20, 0x20000000)), "announces"));    // instructions
  BOOST_TEST(contains(refused(with_u32(bytes, at + 24, 0xffffffff)), "announces"));    // guards
  BOOST_TEST(contains(refused(with_u32(bytes, first, 10000)), "operation 10000 of"));  // opcode
  BOOST_TEST(contains(refused(with_u32(bytes, first + 4, 0xffffffff)), "operand 0"));  // out of range
  BOOST_TEST(contains(refused(with_u32(bytes, first + 4, 3)), "not before it"));       // itself: a cycle
  BOOST_TEST(contains(refused(with_u32(bytes, first + 4, 5)), "not before it"));       // a later one: a cycle
  BOOST_TEST(contains(refused(with_u32(bytes, at + 12, 1)), "follow its last path"));
  BOOST_TEST(contains(refused(with_u32(bytes.substr(0, at + 24), at + 12, 0)), "has no path"));
}

BOOST_FIXTURE_TEST_CASE(random_damage_is_refused_or_sound, Fixture) {
  const std::string bytes = sound();
  std::mt19937 random(7);
  int refusals = 0;
  for (int round = 0; round < 500; ++round) {
    std::string damaged = bytes;
    for (int k = 0; k < 3; ++k) damaged[16 + random() % (damaged.size() - 16)] = static_cast<char>(random());
    write(path, with_hash(damaged));
    try {
      const Program program = read_program(path);
      BOOST_TEST(defect_of(program.list()).empty());
    } catch (const DataError&) {
      ++refusals;
    }
  }
  BOOST_TEST(refusals > 100);
}

BOOST_FIXTURE_TEST_CASE(a_file_that_is_missing_is_named, Fixture) {
  BOOST_TEST(contains(message_of<DataError>([&] { read_program(path); }), path));
  const Program program = record([](auto x) { return x[0]; }, {.data = 1}, {1.0});
  BOOST_TEST(contains(message_of<DataError>([&] { write_program(path + "/in/none", program); }), path));
}

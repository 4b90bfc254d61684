#include "autodiff/io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <boost/test/unit_test.hpp>

#include "autodiff/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

BOOST_AUTO_TEST_CASE(writes_a_new_file_with_the_usual_permissions) {
  const TemporaryFolder folder;
  const mode_t mask = ::umask(022);
  write_file_atomically(folder.path("new"), "some bytes");
  ::umask(mask);
  BOOST_TEST(folder.read("new") == "some bytes");
  BOOST_TEST(folder.count() == 1u);
  struct stat status;
  BOOST_REQUIRE(::stat(folder.path("new").c_str(), &status) == 0);
  BOOST_TEST((status.st_mode & 0777) == 0644u);
}

BOOST_AUTO_TEST_CASE(replaces_an_old_file_at_commit_and_keeps_its_permissions) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "old");
  BOOST_REQUIRE(::chmod(path.c_str(), 0640) == 0);
  AtomicFile file(path);
  file.write("new");
  BOOST_TEST(folder.read("file") == "old");
  file.commit();
  BOOST_TEST(folder.read("file") == "new");
  BOOST_TEST(folder.count() == 1u);
  struct stat status;
  BOOST_REQUIRE(::stat(path.c_str(), &status) == 0);
  BOOST_TEST((status.st_mode & 0777) == 0640u);
}

BOOST_AUTO_TEST_CASE(leaves_nothing_without_commit) {
  const TemporaryFolder folder;
  folder.write("file", "old");
  {
    AtomicFile file(folder.path("file")), fresh(folder.path("fresh"));
    file.write("half");
    fresh.write("half");
    BOOST_TEST(folder.read("file") == "old");
  }
  BOOST_TEST(folder.count() == 1u);
  BOOST_TEST(folder.read("file") == "old");
}

BOOST_AUTO_TEST_CASE(follows_a_link) {
  const TemporaryFolder folder;
  folder.write("target", "old");
  BOOST_REQUIRE(::symlink("target", folder.path("link").c_str()) == 0);
  write_file_atomically(folder.path("link"), "new");
  BOOST_TEST(folder.read("target") == "new");
  BOOST_TEST(std::filesystem::is_symlink(folder.path("link")));
}

BOOST_AUTO_TEST_CASE(follows_a_link_to_a_file_that_is_not_there) {
  const TemporaryFolder folder;
  BOOST_REQUIRE(::symlink("target", folder.path("link").c_str()) == 0);
  BOOST_REQUIRE(::symlink("link", folder.path("link to link").c_str()) == 0);
  write_file_atomically(folder.path("link to link"), "new");
  BOOST_TEST(folder.read("target") == "new");
  BOOST_TEST(std::filesystem::is_symlink(folder.path("link")));
  BOOST_TEST(std::filesystem::is_symlink(folder.path("link to link")));
  BOOST_TEST(folder.count() == 3u);
}

BOOST_AUTO_TEST_CASE(a_writer_that_is_killed_leaves_nothing) {
  const TemporaryFolder folder;
  folder.write("file", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder.path("file"));
    file.write("half");
    ::raise(SIGKILL);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(WIFSIGNALED(status));
  BOOST_TEST(folder.read("file") == "old");
  BOOST_TEST(folder.count() == 1u);
}

BOOST_AUTO_TEST_CASE(temporary_files_without_a_writer_are_removed) {
  const TemporaryFolder folder;
  folder.write(".wengert-1-0.tmp", "half");
  folder.write(".wengert-1-1.tmp", "half");
  folder.write("other.tmp", "of somebody else");
  const std::string locked = folder.path(".wengert-1-1.tmp");
  const int writer = ::open(locked.c_str(), O_WRONLY | O_CLOEXEC);
  BOOST_REQUIRE(::flock(writer, LOCK_EX) == 0);
  BOOST_TEST(remove_stale_temporaries(folder.path("file")) == 1u);
  BOOST_TEST(!folder.has(".wengert-1-0.tmp"));
  BOOST_TEST(folder.has(".wengert-1-1.tmp"));
  ::close(writer);
  BOOST_TEST(remove_stale_temporaries(folder.path("file")) == 1u);
  BOOST_TEST(folder.count() == 1u);
  BOOST_TEST(remove_stale_temporaries(folder.path("no/folder/file")) == 0u);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_being_named_is_no_stale_one) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    while (true) remove_stale_temporaries(folder.path("file"));
  }
  for (int i = 0; i < 200; ++i) write_file_atomically(folder.path("file"), "bytes");  // would fail if its temporary file were removed
  BOOST_REQUIRE(::kill(child, SIGKILL) == 0);
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(folder.count() == 1u);
}

BOOST_AUTO_TEST_CASE(writes_to_a_device_without_replacing_it) {
  write_file_atomically("/dev/null", "gone");
  BOOST_TEST(std::filesystem::is_character_file("/dev/null"));
}

BOOST_AUTO_TEST_CASE(a_name_as_long_as_names_may_be) {
  const TemporaryFolder folder;
  const std::string name(255, 'n');
  write_file_atomically(folder.path(name), "bytes");
  BOOST_TEST(folder.read(name) == "bytes");
}

BOOST_AUTO_TEST_CASE(failures_name_the_file_and_the_reason) {
  const TemporaryFolder folder;
  const std::string missing = folder.path("no/such/folder/file");
  const std::string message = message_of<DataError>([&] { write_file_atomically(missing, "x"); });
  BOOST_TEST(contains(message, missing));
  BOOST_TEST(contains(message, "No such file or directory"));
  std::filesystem::create_directory(folder.path("folder"));
  BOOST_CHECK_THROW(write_file_atomically(folder.path("folder"), "x"), DataError);
  BOOST_TEST(contains(message_of<DataError>([] { write_file_atomically("/dev/full", "x"); }), "No space left on device"));
}

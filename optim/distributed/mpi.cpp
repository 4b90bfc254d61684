#include "optim/distributed/mpi.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "autodiff/error.h"

namespace wengert::optim {
namespace {

using Clock = std::chrono::steady_clock;

int as_count(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw ValueError(fmt::format("MPI: a transfer has {} bytes, and {} are possible; hint: a smaller bucket_bytes", bytes,
                                 std::numeric_limits<int>::max()));
  return static_cast<int>(bytes);
}

// Counts and displacements of what lies one behind the other.
struct Layout {
  explicit Layout(std::span<const std::size_t> sizes) {
    std::size_t at = 0;
    for (const std::size_t size : sizes) {
      counts.push_back(as_count(size));
      displacements.push_back(as_count(at));
      at += size;
    }
  }
  std::vector<int> counts, displacements;
};

class MpiRanks final : public Ranks {
 public:
  explicit MpiRanks(double timeout) : timeout_(timeout) {
    for (MPI_Comm* c : {&exchanges_, &gatherings_}) {
      MPI_Comm_dup(MPI_COMM_WORLD, c);
      MPI_Comm_set_errhandler(*c, MPI_ERRORS_RETURN);
    }
    MPI_Comm_rank(exchanges_, &rank_);
    MPI_Comm_size(exchanges_, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void broadcast(std::span<std::byte> bytes) override {
    constexpr std::size_t kMost = std::size_t{1} << 30;
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(kMost, bytes.size()))) {
      MPI_Request request;
      check(MPI_Ibcast(bytes.data(), as_count(std::min(kMost, bytes.size())), MPI_BYTE, 0, gatherings_, &request), "a broadcast");
      wait(request, "a broadcast");
    }
  }

  // Returns when all ranks have called it: nobody hangs in MPI_Finalize, which has no time limit.
  void meet() const {
    MPI_Request request;
    check(MPI_Ibarrier(gatherings_, &request), "the end of the program");
    wait(request, "the end of the program");
  }

  std::unique_ptr<Transfer> exchange(std::span<const std::byte> out, std::span<const std::size_t> out_sizes, std::span<std::byte> in,
                                     std::span<const std::size_t> in_sizes) override {
    auto transfer = std::make_unique<MpiTransfer>(*this, "an exchange of gradients", Layout(out_sizes), Layout(in_sizes));
    const Layout &to = transfer->out, &from = transfer->in;
    check(MPI_Ialltoallv(out.data(), to.counts.data(), to.displacements.data(), MPI_BYTE, in.data(), from.counts.data(),
                         from.displacements.data(), MPI_BYTE, exchanges_, &transfer->request),
          transfer->what);
    return transfer;
  }

  std::unique_ptr<Transfer> gather(std::span<const std::byte> out, std::span<std::byte> in,
                                   std::span<const std::size_t> in_sizes) override {
    auto transfer = std::make_unique<MpiTransfer>(*this, "a gathering of sums", Layout({}), Layout(in_sizes));
    const Layout& from = transfer->in;
    check(MPI_Iallgatherv(out.data(), as_count(out.size()), MPI_BYTE, in.data(), from.counts.data(), from.displacements.data(), MPI_BYTE,
                          gatherings_, &transfer->request),
          transfer->what);
    return transfer;
  }

 private:
  struct MpiTransfer final : Transfer {
    MpiTransfer(const MpiRanks& ranks, const char* what, Layout out, Layout in)
        : ranks(ranks), what(what), out(std::move(out)), in(std::move(in)) {}
    bool done() override { return ranks.test(request, what); }
    void wait() override { ranks.wait(request, what); }

    const MpiRanks& ranks;
    const char* what;
    Layout out, in;  // MPI reads them until it is done
    MPI_Request request = MPI_REQUEST_NULL;
  };

  void check(int error, const char* what) const {
    if (error == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(error, text, &length);
    throw Error(fmt::format("MPI: {} has failed: {}", what, std::string_view(text, static_cast<std::size_t>(length))));
  }

  bool test(MPI_Request& request, const char* what) const {
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), what);
    return done != 0;
  }

  // Looks often at first, because MPI moves large messages on piece by piece whenever it is asked; then naps, so that ranks may be more
  // than processors. (Naps and not sched_yield: beside other programs, a process that has yielded waits for a whole time slice of theirs.)
  void wait(MPI_Request& request, const char* what) const {
    constexpr double kAlert = 2e-4;  // seconds
    constexpr timespec kNap{.tv_sec = 0, .tv_nsec = 10'000};
    const Clock::time_point began = Clock::now();
    while (!test(request, what)) {
      const double waited = std::chrono::duration<double>(Clock::now() - began).count();
      if (waited > timeout_) {
        throw Error(
            fmt::format("MPI: {} did not finish within {} s; another rank has died, hangs, or is late; hint: if it is only "
                        "late, a longer MpiOptions::timeout",
                        what, timeout_));
      }
      if (waited > kAlert) ::nanosleep(&kNap, nullptr);
    }
  }

  double timeout_;
  MPI_Comm exchanges_ = MPI_COMM_NULL, gatherings_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
};

[[noreturn]] void end_all(const Ranks& ranks, const char* why) {
  std::fflush(stdout);
  fmt::print(stderr, "rank {} of {}: {}\n", ranks.rank(), ranks.size(), why);
  std::fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, 1);
  std::terminate();  // not reached
}

}  // namespace

int train_on_mpi(wengert::detail::FunctionRef<void(Ranks&)> program, const MpiOptions& options) {
  if (!(options.timeout > 0)) throw ValueError(fmt::format("train_on_mpi: timeout must be positive, but it is {}", options.timeout));
  int before = 0;
  MPI_Initialized(&before);
  if (before) throw Error("train_on_mpi: MPI has been started already in this process");
  int level = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);  // only the calling thread uses MPI
  MpiRanks ranks(options.timeout);
  try {
    program(ranks);
    ranks.meet();
  } catch (const std::exception& error) {
    end_all(ranks, error.what());
  } catch (...) {
    end_all(ranks, "an exception not derived from std::exception");
  }
  MPI_Finalize();
  return 0;
}

}  // namespace wengert::optim

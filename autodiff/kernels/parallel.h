#pragma once
// Work in fixed blocks over the one thread pool of the process.
#include <cstdint>
#include <type_traits>

namespace wengert {

namespace detail {
/// Runs block(context, i) for every i below `blocks` over the pool and returns true; does nothing and returns false where the calling
/// thread should do it alone: one thread is set, it is itself inside a block, or the pool works for another thread.
bool run_on_pool(std::int64_t blocks, void (*block)(void* context, std::int64_t index), void* context);

/// Takes jobs in place of the pool, to measure them: calls block(context, i) for every i below `blocks`. Null: the pool works again. It
/// serves one thread at a time.
using JobRunner = void (*)(std::int64_t blocks, void (*block)(void* context, std::int64_t index), void* context) noexcept;
void set_job_runner(JobRunner runner);
}  // namespace detail

/// How many threads a call of parallel_blocks can use here: num_threads(), or 1 inside a block.
int usable_threads();

/// Calls function(i) once for every i in [0, blocks), in any order, on any threads, the calling one among them; returns when all are done.
/// What a block covers must depend on the work alone, never on num_threads(), so that results have the same bits for any number of threads
/// (but where no bit can depend on what else a block covers).
/// A block should be worth 5 us or more: taking one costs some 0.1 us, and the first of a job a microsecond or two.
/// The first exception of a block is rethrown here; blocks that had not begun by then are left out. Allocates nothing, except where it
/// starts threads.
template <class Function> void parallel_blocks(std::int64_t blocks, Function&& function) {
  using Callable = std::remove_reference_t<Function>;
  const auto call = [](void* context, std::int64_t index) { (*static_cast<Callable*>(context))(index); };
  if (blocks > 1 && detail::run_on_pool(blocks, call, const_cast<std::remove_const_t<Callable>*>(&function))) return;
  for (std::int64_t index = 0; index < blocks; ++index) function(index);
}

}  // namespace wengert

// Lists of choices are shrunk by made-up programs: each knows what its shortest failing list is.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <numeric>

#include "tests/fuzz/shrink.h"

using namespace wengert::fuzz;

namespace {

using List = std::vector<std::uint64_t>;

// A program that fails if `f(choices)` is true; f draws what it needs.
template <class F> Fails failing_if(F f, std::size_t* runs = nullptr) {
  return [=](const List& list) -> std::optional<ChoiceList> {
    if (runs) ++*runs;
    Choices choices(list);
    if (!f(choices)) return std::nullopt;
    return choices.made();
  };
}

// The first failing program of all seeds, shrunk.
template <class F> List shrunk(F f) {
  for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
    Choices choices(seed);
    if (f(choices)) return shrink(choices.made(), failing_if(f)).choices;
  }
  BOOST_FAIL("no seed fails");
  return {};
}

// A list of numbers below 1000.
List numbers(Choices& choices) {
  List drawn;
  while (choices.below(20) != 0) drawn.push_back(choices.below(1000));
  return drawn;
}

// Steps of kinds 0 to 9, each with up to 4 arguments; its kinds.
List steps(Choices& choices) {
  List kinds;
  for (;;) {
    choices.mark();
    if (choices.below(12) == 0) return kinds;
    kinds.push_back(choices.below(10));
    for (std::uint64_t arguments = choices.below(5); arguments > 0; --arguments) choices.below(100);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(choices_are_replayed_modulo_and_with_zeros_after_the_end) {
  Choices drawn(7);
  for (const std::uint64_t n : {10, 3, 1000, 2}) drawn.below(n);
  Choices replayed(drawn.made().choices);
  for (const std::uint64_t n : {10, 3, 1000, 2}) replayed.below(n);
  BOOST_TEST(replayed.made().choices == drawn.made().choices);

  Choices reduced(List{25, 7});
  reduced.mark();
  BOOST_TEST(reduced.below(10) == 5u);
  BOOST_TEST(reduced.below(7) == 0u);
  reduced.mark();
  BOOST_TEST(reduced.below(100) == 0u);
  BOOST_TEST(reduced.made().choices == (List{5, 0, 0}));
  BOOST_TEST(reduced.made().marks == (std::vector<std::size_t>{0, 2}));
}

BOOST_AUTO_TEST_CASE(seeds_give_different_choices) {
  Choices a(1), b(2);
  for (int k = 0; k < 20; ++k) a.below(1000), b.below(1000);
  BOOST_TEST(a.made().choices != b.made().choices);
  BOOST_TEST(*std::max_element(a.made().choices.begin(), a.made().choices.end()) < 1000u);
}

BOOST_AUTO_TEST_CASE(an_entry_of_at_least_100_shrinks_to_one_entry_of_100) {
  const auto fails = [](Choices& choices) {
    const List drawn = numbers(choices);
    return std::any_of(drawn.begin(), drawn.end(), [](std::uint64_t n) { return n >= 100; });
  };
  BOOST_TEST(shrunk(fails) == (List{1, 100, 0}));
}

BOOST_AUTO_TEST_CASE(a_large_sum_shrinks_to_the_smallest_one_that_fails) {
  const auto fails = [](Choices& choices) {
    const List drawn = numbers(choices);
    return std::accumulate(drawn.begin(), drawn.end(), std::uint64_t(0)) >= 1500;
  };
  Choices shortest(shrunk(fails));
  const List entries = numbers(shortest);
  BOOST_TEST(std::accumulate(entries.begin(), entries.end(), std::uint64_t(0)) == 1500u);
  BOOST_TEST(*std::min_element(entries.begin(), entries.end()) > 0u);
}

BOOST_AUTO_TEST_CASE(two_steps_of_one_kind_around_another_are_what_is_left_of_a_program) {
  const auto fails = [](Choices& choices) {
    const List kinds = steps(choices);
    const auto first = std::find(kinds.begin(), kinds.end(), 3);
    const auto between = std::find(first, kinds.end(), 5);
    return std::find(between, kinds.end(), 3) != kinds.end();
  };
  BOOST_TEST(shrunk(fails) == (List{1, 3, 0, 1, 5, 0, 1, 3, 0, 0}));
}

BOOST_AUTO_TEST_CASE(a_size_shrinks_with_the_elements_that_it_counts) {
  // The last element is what fails, so neither the size nor the elements can shrink alone.
  const auto fails = [](Choices& choices) {
    const std::uint64_t size = choices.below(9);
    choices.mark();
    List elements;
    for (std::uint64_t k = 0; k < size; ++k) elements.push_back(choices.below(50));
    choices.mark();
    return choices.below(4) == 3 && size >= 2 && elements.back() == 42;
  };
  BOOST_TEST(shrunk(fails) == (List{2, 0, 42, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_fails_always_shrinks_to_nothing) {
  const Fails always = [](const List& list) { return ChoiceList{list, {}}; };
  BOOST_TEST(shrink({{5, 4, 3, 2, 1}, {0, 2}}, always).choices.empty());
}

BOOST_AUTO_TEST_CASE(nothing_simpler_is_found_for_what_cannot_shrink) {
  const List only{3, 1, 4, 1, 5};
  const Fails fails = [&](const List& list) -> std::optional<ChoiceList> {
    if (list != only) return std::nullopt;
    return ChoiceList{list, {}};
  };
  BOOST_TEST(shrink({only, {}}, fails).choices == only);
}

BOOST_AUTO_TEST_CASE(the_number_of_runs_is_bounded_and_the_result_fails) {
  const auto large = [](Choices& choices) {
    for (int k = 0; k < 50; ++k)
      if (choices.below(1000) < 500) return false;
    return true;
  };
  const List failing(50, 999);
  std::size_t runs = 0;
  const ChoiceList result = shrink({failing, {}}, failing_if(large, &runs), {.runs = 200});
  BOOST_TEST(runs == 200u);
  Choices choices(result.choices);
  BOOST_TEST(large(choices));
  BOOST_TEST(result.choices < failing);
}

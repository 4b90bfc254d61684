#include "nn/training/history.h"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "autodiff/error.h"
#include "nn/data/csv.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::Column;
using nn::Curve;
using nn::Figure;
using nn::History;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// The search path for programs, for as long as this lives.
class SearchPath {
 public:
  explicit SearchPath(const std::string& path) : old_(::getenv("PATH")) { ::setenv("PATH", path.c_str(), 1); }
  ~SearchPath() { ::setenv("PATH", old_.c_str(), 1); }

 private:
  std::string old_;
};

// A folder with a program `gnuplot` that does what the shell script says.
struct StandIn {
  explicit StandIn(const std::string& script) {
    const std::string program = folder.write("gnuplot", "#!/bin/sh\n" + script);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  }
  TemporaryFolder folder;
  SearchPath search{folder.path("") + ":/bin:/usr/bin"};
};

History two_epochs() {
  History history;
  history.add({{"train loss", 0.5}, {"test loss", 0.75}, {"train accuracy", 0.25}});
  history.add({{"train loss", 0.125}, {"test accuracy", 0.1}});
  return history;
}

const std::string png = "\x89PNG\r\n\x1a\n";

}  // namespace

BOOST_AUTO_TEST_CASE(values_by_name_with_gaps) {
  const History history = two_epochs();
  BOOST_TEST(history.epochs() == 2u);
  BOOST_TEST(history.values("train loss")[1] == 0.125);
  BOOST_TEST(std::isnan(history.values("test loss")[1]));
  BOOST_TEST(std::isnan(history.values("test accuracy")[0]));
  BOOST_TEST(history.values("test accuracy")[1] == 0.1);
  BOOST_TEST(contains(message_of<Error>([&] { history.values("loss"); }), "there are \"train loss\", \"test loss\", \"train accuracy\""));
}

BOOST_AUTO_TEST_CASE(curves_as_csv) {
  const TemporaryFolder folder;
  two_epochs().write_csv(folder.path("curves.csv"));
  BOOST_TEST(folder.read("curves.csv") == "epoch,train loss,test loss,train accuracy,test accuracy\n1,0.5,0.75,0.25,\n2,0.125,,,0.1\n");
  BOOST_TEST(folder.count() == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_written_can_be_read_with_all_its_digits) {
  const TemporaryFolder folder;
  const std::vector<Column> columns = {{"a, \"b\"", {1.0 / 3, 1e-300, missing}}, {"c", {-2}}};
  nn::write_columns(columns, folder.path("table.csv"));
  const nn::Table table = nn::read_csv(folder.path("table.csv"));
  const std::vector<double> a = table.numbers("a, \"b\"", {.missing = missing}), c = table.numbers("c", {.missing = missing});
  BOOST_TEST(a[0] == 1.0 / 3);
  BOOST_TEST(a[1] == 1e-300);
  BOOST_TEST(std::isnan(a[2]));
  BOOST_TEST(c[0] == -2);
  BOOST_TEST(std::isnan(c[1]));
}

BOOST_AUTO_TEST_CASE(a_plot_has_a_panel_for_each_quantity) {
  const StandIn gnuplot("printf '\\211PNG\\r\\n\\032\\n'; cat curves.gp");
  const TemporaryFolder folder;
  const nn::PictureOutcome outcome = two_epochs().plot(folder.path("curves.png"));
  BOOST_TEST(outcome.drawn);
  BOOST_TEST(contains(outcome.message, folder.path("curves.png")));
  const std::string script = folder.read("curves.gp");
  BOOST_TEST(folder.read("curves.png") == png + script);  // it ran in the picture's folder
  BOOST_TEST(contains(script, "layout 1, 2"));
  BOOST_TEST(contains(script, "set label 1 'loss'"));
  BOOST_TEST(contains(script, "set label 1 'accuracy'"));
  BOOST_TEST(contains(script, "'./curves.csv' skip 1 using 1:5"));
  BOOST_TEST(folder.has("curves.csv"));
  BOOST_TEST(folder.count() == 3u);
}

BOOST_AUTO_TEST_CASE(gnuplot_draws_a_picture_where_it_is_installed) {
  const TemporaryFolder folder;
  const nn::PictureOutcome outcome = two_epochs().plot(folder.path("curves.png"));
  BOOST_TEST_MESSAGE(outcome.message);
  BOOST_TEST(outcome.drawn == folder.has("curves.png"));
  if (outcome.drawn) {
    BOOST_TEST(folder.read("curves.png").starts_with(png));
  } else {
    BOOST_TEST(contains(outcome.message, "not installed"));
  }
}

BOOST_AUTO_TEST_CASE(a_missing_gnuplot_is_no_error) {
  const TemporaryFolder folder, empty;
  const SearchPath search(empty.path(""));
  const nn::PictureOutcome outcome = two_epochs().plot(folder.path("curves.png"));
  BOOST_TEST(!outcome.drawn);
  BOOST_TEST(contains(outcome.message, "gnuplot is not installed"));
  BOOST_TEST(folder.has("curves.csv"));
  BOOST_TEST(folder.has("curves.gp"));
  BOOST_TEST(!folder.has("curves.png"));
}

BOOST_AUTO_TEST_CASE(a_gnuplot_that_fails_leaves_no_picture) {
  for (const char* script : {"printf '\\211PNG\\r\\n\\032\\n'; echo 'no such terminal' >&2; exit 1", "echo 'no such terminal' >&2",
                             "printf '\\211PNG\\r\\n\\032\\n'; echo 'no such terminal' >&2; kill -9 $$"}) {
    const StandIn gnuplot(script);
    const TemporaryFolder folder;
    const nn::PictureOutcome outcome = two_epochs().plot(folder.path("curves.png"));
    BOOST_TEST(!outcome.drawn);
    BOOST_TEST(contains(outcome.message, "no such terminal"));
    BOOST_TEST(!folder.has("curves.png"));
    BOOST_TEST(folder.count() == 2u);
  }
}

BOOST_AUTO_TEST_CASE(names_are_never_commands) {
  const TemporaryFolder folder;
  const std::string stem = "$(touch pwned) `touch pwned`; '\"; system('touch pwned') |";
  const std::string path = folder.path("< touch pwned #" + stem + ".png");
  Figure figure{{{"'; system('touch pwned'); '", {1, 2}}, {"y\nsystem('touch pwned')", {1, 2}}}, {}};
  figure.panels.push_back({.title = "`touch pwned`'; system('touch pwned')", .x_label = "@x", .y_label = "\n!touch pwned\n", .curves = {}});
  figure.panels[0].curves.push_back({.x = figure.columns[0].name, .y = figure.columns[1].name});
  nn::write_figure(figure, path);
  BOOST_TEST(!folder.has("pwned"));
  BOOST_TEST(!std::filesystem::exists("pwned"));
}

BOOST_AUTO_TEST_CASE(figures_that_cannot_be_drawn_are_refused_before_anything_is_written) {
  const TemporaryFolder folder;
  BOOST_CHECK_THROW(two_epochs().plot(folder.path("curves.jpg")), DataError);
  BOOST_CHECK_THROW(two_epochs().plot(folder.path(".png")), DataError);
  BOOST_CHECK_THROW(two_epochs().plot(folder.path("no/folder/curves.png")), DataError);
  BOOST_CHECK_THROW(History().plot(folder.path("curves.png")), Error);
  Figure figure{{{"x", {1}}}, {{.title = "", .x_label = "", .y_label = "", .curves = {Curve{.x = "x", .y = "z"}}}}};
  BOOST_TEST(contains(message_of<Error>([&] { nn::write_figure(figure, folder.path("f.png")); }), "column \"z\""));
  BOOST_TEST(folder.count() == 0u);
}

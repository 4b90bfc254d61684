// golden: runs reference data (format golden-ad-1) against the public interface. `golden --help` says how.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "autodiff/io/atomic_file.h"
#include "case.h"
#include "operations.h"
#include "run.h"

namespace wengert::golden {
namespace {

constexpr int kSkipped = 77, kMisuse = 2;

struct Options {
  std::string directory, parent, filter, json;
  std::vector<std::string> groups;
  bool float64 = false, float32 = false, noncontiguous = false;
  bool allow_missing = false, list_missing = false;

  // The requested ways; by default, all.
  std::vector<Way> ways() const {
    const bool all = !float64 && !float32 && !noncontiguous;
    std::vector<Way> list;
    if (all || float64) list.push_back(Way::float64);
    if (all || float32) list.push_back(Way::float32);
    if (all || noncontiguous) list.push_back(Way::noncontiguous);
    return list;
  }
};

enum class Status { passed, failed, skipped };
const char* to_string(Status status) { return status == Status::passed ? "passed" : status == Status::failed ? "failed" : "skipped"; }

struct Report {
  std::string group, id, op;
  Status status = Status::passed;
  double worst = 0;     // error in units of the tolerance, over all ways
  std::string message;  // why it failed or was skipped
  std::string missing;  // what the library lacks for it
};

// The status of a case for which the library lacks something.
Status status_of_missing(const Case& c, const Options& options) {
  return c.optional() || c.advisory() || options.allow_missing ? Status::skipped : Status::failed;
}

Report run_case(const Case& c, const Options& options) {
  Report report{.group = c.group, .id = c.id, .op = c.op, .message = {}, .missing = {}};
  try {
    for (const Way way : options.ways()) {
      const Verdict verdict = run(c, way);
      if (verdict.passed || report.status == Status::passed) report.worst = std::max(report.worst, verdict.worst);
      if (verdict.passed || report.status != Status::passed) continue;
      report.status = c.advisory() ? Status::skipped : Status::failed;
      report.message = fmt::format("{}{}: {}", c.advisory() ? "advisory: " : "", golden::to_string(way), verdict.message);
    }
  } catch (const Missing& missing) {
    report.status = status_of_missing(c, options);
    report.missing = missing.what;
    report.message = fmt::format("the library lacks {}", missing.what);
  }
  return report;
}

std::vector<Report> run_all(const Options& options) {
  std::vector<Report> reports;
  for (const std::string& group : options.groups.empty() ? groups_of(options.directory) : options.groups) {
    for (const Case& c : read_group(options.directory, group)) {
      if (fmt::format("{}/{} {}", c.group, c.id, c.op).find(options.filter) == std::string::npos) continue;
      reports.push_back(run_case(c, options));
      const Report& report = reports.back();
      if (report.status == Status::failed && !options.list_missing)
        fmt::print("failed: {}/{} {}: {}\n", report.group, report.id, report.op, report.message);
    }
  }
  return reports;
}

void write_json(const std::string& path, const std::vector<Report>& reports) {
  std::string text = "[";
  for (const Report& report : reports) {
    nlohmann::ordered_json line{{"id", report.id},  {"group", report.group},    {"op", report.op}, {"status", to_string(report.status)},
                                {"worst", nullptr}, {"message", report.message}};
    if (report.missing.empty()) {
      if (std::isfinite(report.worst))
        line["worst"] = report.worst;
      else
        line["worst"] = "inf";
    }
    text += (text.size() > 1 ? ",\n" : "\n") + line.dump();
  }
  text += "\n]\n";
  write_file_atomically(path, text);
}

struct Count {
  int passed = 0, failed = 0, skipped = 0;
  void add(Status status) { ++(status == Status::passed ? passed : status == Status::failed ? failed : skipped); }
};

void print_missing(const std::vector<Report>& reports) {
  std::map<std::pair<std::string, std::string>, int> cases;
  for (const Report& report : reports)
    if (!report.missing.empty()) ++cases[{report.group, report.missing}];
  for (const auto& [what, count] : cases) fmt::print("{}: {} ({} cases)\n", what.first, what.second, count);
}

Count print_counts(const std::vector<Report>& reports) {
  std::map<std::string, Count> groups;
  Count total;
  for (const Report& report : reports) {
    groups[report.group].add(report.status);
    total.add(report.status);
  }
  for (const auto& [group, count] : groups)
    fmt::print("{}: {} passed, {} failed, {} skipped\n", group, count.passed, count.failed, count.skipped);
  fmt::print("{} passed, {} failed, {} skipped\n", total.passed, total.failed, total.skipped);
  return total;
}

void describe_options(CLI::App& app, Options& options) {
  app.add_option("DIR", options.directory, "directory of manifests; without it, the folder golden of --data");
  app.add_option("--data", options.parent, "where the folder golden lies")->envname("WENGERT_REFERENCE_DATA");
  app.add_option("--group", options.groups, "only this group, as in g1_unary; may be repeated");
  app.add_option("--filter", options.filter, "only cases whose \"group/id op\" contains this text");
  app.add_option("--json", options.json, "write one object a case to this file");
  app.add_flag("--float64", options.float64, "only as the data is, not in all three ways");
  app.add_flag("--float32", options.float32, "only in float32, tolerances from the cases' conditions");
  app.add_flag("--noncontiguous", options.noncontiguous, "only with strided views as inputs");
  app.add_flag("--allow-missing", options.allow_missing, "cases that need what the library lacks are skipped, not failed");
  app.add_flag("--list-missing", options.list_missing, "list what the library lacks instead of the failures");
}

int run_program(Options options) {
  if (options.directory.empty()) {
    if (options.parent.empty()) {
      fmt::print("skipped: no directory of reference data; name one, or set WENGERT_REFERENCE_DATA\n");
      return kSkipped;
    }
    options.directory = (std::filesystem::path(options.parent) / "golden").string();
  }
  const std::vector<Report> reports = run_all(options);
  if (!options.json.empty()) write_json(options.json, reports);
  if (options.list_missing) print_missing(reports);
  const Count total = print_counts(reports);
  return total.failed == 0 && total.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace wengert::golden

int main(int argc, char** argv) {
  using namespace wengert::golden;
  Options options;
  CLI::App app{"Runs cases of reference data in float64, in float32 and with strided inputs; a case passes if all three do.", "golden"};
  describe_options(app, options);
  try {
    app.parse(argc, argv);
    return run_program(std::move(options));
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? EXIT_SUCCESS : kMisuse;
  } catch (const std::exception& e) {
    fmt::print(stderr, "golden: {}\n", e.what());
    return kMisuse;
  }
}

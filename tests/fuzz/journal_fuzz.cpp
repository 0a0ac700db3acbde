#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "analysis/cell_sums_units.h"
#include "harness.h"
#include "models/kmeans_progress.h"
#include "models/model_units.h"
#include "run/journal.h"
#include "run/provenance.h"
#include "run/stage_cache.h"
#include "store/unit_file.h"
#include "support/temporary_folder.h"

/// Bytes as what a run directory keeps between starts. The first byte says which file; a unit comes raw, or
/// as contents behind a head and a checksum that are right.
namespace phase0::fuzz {
namespace {

const core::UnitId kUnit{"lag 1: mean", "0123456789abcdef"};

const run::RunDirectory& directory() {
  static const test::TemporaryFolder folder;
  static const run::RunDirectory in = [] {
    std::filesystem::create_directories(folder.file("cache/fit"));
    return run::RunDirectory{folder.path()};
  }();
  return in;
}

std::string unit_path() {
  return directory().file("cache/fit/a.unit");
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void read_journal(const std::string& bytes) {
  const auto path = directory().file("journal.json");
  write(path, bytes);
  ends_well({ErrorKind::kStorage}, [&] {
    run::Journal journal(directory());
    for (const char* stage : {"collect", "fit", "analyze"}) {
      journal.changed_file(stage);
      const auto key = journal.key(stage);
      expect(!journal.done(stage, "another key") || key == "another key", "a stage done for another key");
    }
    const auto kept = journal.key("collect");
    journal.begin("fit", false);
    journal.finish("fit", "a key");
    const run::Journal again(directory());
    expect(again.key("collect") == kept && again.key("fit") == "a key",
           "a journal that is not what was written");
  });
  std::filesystem::remove(path);
}

void read_run_json(const std::string& bytes) {
  const auto path = directory().file("run.json");
  write(path, bytes);
  ends_well({ErrorKind::kStorage}, [] {
    run::read_stage_memory(directory());
    run::read_input_facts(directory());
  });
  std::filesystem::remove(path);
}

void read_raw_unit(const std::string& bytes) {
  write(unit_path(), bytes);
  const auto units = run::list_cache(directory());
  expect(units.size() == 1, "not one unit in the list");
  const auto all = [](core::ByteSource& source) {
    while (source.remaining() > 0) source.get<std::uint8_t>();
  };
  if (!units[0].damaged) {
    ends_well({ErrorKind::kStorage}, [&] {
      store::read_unit(unit_path(), {units[0].name, units[0].key}, all);
    });
  }
  ends_well({ErrorKind::kStorage}, [&] { store::read_unit(unit_path(), kUnit, all); });
}

std::string take_rest(core::ByteSource& source) {
  std::string bytes(static_cast<std::size_t>(source.remaining()), '\0');
  source.read(bytes.data(), std::ssize(bytes));
  return bytes;
}

using Write = core::UnitStore::Write;

/// Contents in a sound unit, given to `read`. What it takes in it must write in the same bytes.
void read_contents(const std::string& bytes, const std::function<Write(core::ByteSource&)>& read) {
  const auto put = [](const std::string& contents) {
    store::write_unit(unit_path(), kUnit,
                      [&](core::ByteSink& sink) { sink.write(contents.data(), std::ssize(contents)); });
  };
  put(bytes);
  Write write_again;
  const bool taken = ends_well({ErrorKind::kStorage}, [&] {
    store::read_unit(unit_path(), kUnit, [&](core::ByteSource& source) { write_again = read(source); });
  });
  if (!taken) return;
  store::write_unit(unit_path(), kUnit, write_again);
  std::string again;
  store::read_unit(unit_path(), kUnit, [&](core::ByteSource& source) { again = take_rest(source); });
  expect(again == bytes, "a unit that is written back in other bytes");
}

void read_condition(const std::string& bytes) {
  read_contents(bytes, [](core::ByteSource& source) -> Write {
    return [model = models::get_condition(source)](core::ByteSink& sink) { models::put(sink, model); };
  });
}

void read_pca(const std::string& bytes) {
  read_contents(bytes, [](core::ByteSource& source) -> Write {
    return [model = models::get_pca(source)](core::ByteSink& sink) { models::put(sink, model); };
  });
}

void read_cell_sums(const std::string& bytes) {
  read_contents(bytes, [](core::ByteSource& source) -> Write {
    return [cells = analysis::get_cell_sums(source, 2)](core::ByteSink& sink) {
      analysis::put_cell_sums(sink, cells);
    };
  });
}

/// A store of the one unit file, which drops what it cannot use as run::StageCache does.
class OneUnit final : public core::UnitStore {
 public:
  bool load(const core::UnitId& unit, const Read& read) override {
    return ends_well({ErrorKind::kStorage}, [&] { store::read_unit(unit_path(), unit, read); });
  }
  bool save(const core::UnitId& unit, const Write& write) override {
    store::write_unit(unit_path(), unit, write);
    return true;
  }
  void drop(const core::UnitId&) override {}
  double interval_seconds() const override { return 0; }
};

void read_progress(const std::string& bytes) {
  store::write_unit(unit_path(), kUnit,
                    [&](core::ByteSink& sink) { sink.write(bytes.data(), std::ssize(bytes)); });
  OneUnit units;
  const models::KMeansShape shape{.k = 2, .d = 2, .n_init = 4};
  models::KMeansProgress progress(&units, kUnit, 3, shape);
  // What a fit relies on.
  expect(std::ssize(progress.seeding) <= shape.n_init, "more seedings than restarts");
  expect(std::ssize(progress.waiting) <= std::max<std::int64_t>(3, shape.n_init), "more runs than restarts");
  for (const auto* runs : {&progress.waiting, &progress.done}) {
    for (const models::LloydRun& run : *runs)
      expect(std::ssize(run.centroids) == 4, "centroids of another shape");
  }
  if (progress.step == models::KMeansProgress::Step::kLast) {
    expect(
        progress.waiting.size() == 1 && progress.leader >= 0 && progress.leader < std::ssize(progress.done),
        "a race without a leader");
  }
  progress.save_when_due();
}

}  // namespace
}  // namespace phase0::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase0::fuzz;
  const Limits limits;
  constexpr void (*kReaders[])(const std::string&) = {
      read_journal, read_run_json, read_raw_unit, read_condition, read_pca, read_cell_sums, read_progress};
  Input input(data, size);
  const std::size_t which = input.byte() % std::size(kReaders);
  kReaders[which](input.rest_text());
  limits.check();
  return 0;
}

#include "encoders/sample_items.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "store/posix_file.h"

namespace phase0::encoders {
namespace {

constexpr int kSampleRate = 22'050;

const std::vector<std::string>& sentences() {
  static const std::vector<std::string> texts = {
      "The harbour was quiet after the storm.",
      "She counts the boats twice a day.",
      "A list of files is printed to standard output, one a line.",
      "If the option is given more than once, the last one wins.",
      "Bread, butter and a pot of strong tea.",
      "Nobody knew why the lamp on the third floor was still burning.",
      "The function returns zero on success and a negative number otherwise.",
      "Snow fell on the hills until the road could no longer be seen.",
  };
  return texts;
}

std::string little_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
  return out;
}

/// A mono wav file of 16 bits.
std::string wav_file(const std::string& samples) {
  const auto size = static_cast<std::uint32_t>(samples.size());
  return "RIFF" + little_endian(36 + size, 4) + "WAVEfmt " + little_endian(16, 4) + little_endian(1, 2) +
         little_endian(1, 2) + little_endian(kSampleRate, 4) + little_endian(2 * kSampleRate, 4) +
         little_endian(2, 2) + little_endian(16, 2) + "data" + little_endian(size, 4) + samples;
}

/// A tone that slowly rises, from `start_hz` on.
std::string tone(double start_hz, double seconds) {
  std::string samples;
  double phase = 0;
  const auto count = static_cast<int>(seconds * kSampleRate);
  for (int i = 0; i < count; ++i) {
    phase += 2 * M_PI * start_hz * (1 + 0.5 * i / count) / kSampleRate;
    samples += little_endian(static_cast<std::uint32_t>(static_cast<int>(8000 * std::sin(phase))), 2);
  }
  return samples;
}

}  // namespace

SampleItems::SampleItems(const Hello& hello) {
  if (hello.input == ItemKind::kText) {
    make_texts(hello.max_item_bytes);
  } else {
    make_wavs();
  }
}

SampleItems::Folder::~Folder() {
  std::error_code ignored;
  if (!path.empty()) std::filesystem::remove_all(path, ignored);
}

void SampleItems::make_texts(std::int64_t max_bytes) {
  const auto limit = static_cast<std::size_t>(max_bytes);
  for (const std::string& text : sentences()) plain_.push_back(text.substr(0, limit));
  std::string longest;
  while (longest.size() < std::min<std::size_t>(limit, 4096))
    longest += sentences()[longest.size() % 8] + " ";
  large_ = {longest.substr(0, std::min<std::size_t>(limit, 4096))};
  const auto add = [&](const char* what, const std::string& item) {
    if (item.size() <= limit) odd_.push_back({what, item});
  };
  add("an empty text", "");
  add("one blank", " ");
  add("a line break", "\n");
  add("a zero byte", std::string("a\0b", 3));
  add("JSON", "{\"type\": \"bye\"}\n");
  add("Unicode", "na\xc3\xafve \xe5\x90\x8d\xe5\x89\x8d \xf0\x9f\x8e\xb2 e\xcc\x81 \xd8\xb9\xd8\xb1\xd8\xa8");
  add("the longest", std::string(limit, 'x'));
  bad_ = "no text: \xff\xfe\xc0";
  bad_ = bad_.substr(bad_.size() - std::min(limit, bad_.size()));
}

void SampleItems::make_wavs() {
  std::string name = (std::filesystem::temp_directory_path() / "phase0-encoder-check-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) store::throw_errno("make a folder", name);
  folder_.path = name;
  for (int i = 0; i < 8; ++i)
    plain_.push_back(write(fmt::format("tone{}.wav", i), wav_file(tone(150 * (i + 1), 0.5 + 0.2 * i))));
  large_ = {write("long.wav", wav_file(tone(200, 20)))};
  odd_.push_back({"no samples", write("none.wav", wav_file(""))});
  odd_.push_back({"one sample", write("one.wav", wav_file(little_endian(1, 2)))});
  odd_.push_back({"silence", write("silence.wav", wav_file(std::string(2 * kSampleRate, '\0')))});
  odd_.push_back({"a file cut short", write("cut.wav", wav_file(tone(300, 1)).substr(0, 20'001))});
  odd_.push_back({"half a header", write("header.wav", wav_file("").substr(0, 21))});
  odd_.push_back({"a text", write("text.wav", "RIFF but no sound\n")});
  odd_.push_back({"a name in Unicode", write("\xc3\xa9t\xc3\xa9 \xe5\x90\x8d.wav", wav_file(tone(400, 1)))});
  bad_ = folder_.path + "/there-is-no-such-file.wav";
}

std::string SampleItems::write(const std::string& name, const std::string& contents) const {
  const std::string path = folder_.path + "/" + name;
  std::ofstream file(path, std::ios::binary);
  file.write(contents.data(), std::ssize(contents));
  file.close();
  if (!file) store::throw_errno("write", path);
  return path;
}

std::vector<std::string> SampleItems::plain(std::int64_t count) const {
  std::vector<std::string> items;
  for (std::int64_t i = 0; i < count; ++i)
    items.push_back(plain_[static_cast<std::size_t>(i) % plain_.size()]);
  return items;
}

std::vector<std::string> SampleItems::large(std::int64_t count) const {
  return std::vector<std::string>(static_cast<std::size_t>(count), large_.front());
}

}  // namespace phase0::encoders

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "encoders/messages.h"

namespace phase0::encoders {

/// Items to try an encoder with. Those of sound are files in a folder that goes with this object.
class SampleItems {
 public:
  /// Throws Error (kStorage) when the files cannot be made.
  explicit SampleItems(const Hello& hello);

  /// `count` items unlike each other that every encoder must take.
  std::vector<std::string> plain(std::int64_t count) const;
  /// Items at the edges of what is allowed, each with what it is; they are encoded or refused as input.
  struct Odd {
    std::string what;
    std::string item;
  };
  const std::vector<Odd>& odd() const { return odd_; }
  /// An item that must be refused.
  const std::string& bad() const { return bad_; }
  /// `count` long items.
  std::vector<std::string> large(std::int64_t count) const;

 private:
  void make_texts(std::int64_t max_bytes);
  void make_wavs();
  std::string write(const std::string& name, const std::string& contents) const;

  /// Goes with its contents, if there is one.
  struct Folder {
    std::string path;
    Folder() = default;
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
  };

  Folder folder_;
  std::vector<std::string> plain_, large_;
  std::vector<Odd> odd_;
  std::string bad_;
};

}  // namespace phase0::encoders

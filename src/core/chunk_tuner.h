#pragma once

#include <cstdint>

namespace phase0::core {

/// Finds how many blocks in flight give the best throughput, while a scan runs. Pure logic: the caller keeps
/// the clock. It only changes how a scan is cut into chunks, never a result.
///
/// Grows by 1.25 while throughput holds at least 95 % of the best seen and shrinks by 0.8 when it falls under
/// 65 %. The best is what two chunks in turn have reached, and two in turn must be slow to shrink, so that
/// one odd chunk changes nothing for long; when two shrinks did not help, the machine itself has become
/// slower: they are undone and the best starts anew. Where growth ends (at the ceiling, or under 95 %) the
/// tuner rests at the best size, tries half of it once in a while and keeps that when it is better, so that a
/// start that was too large is left again.
class ChunkTuner {
 public:
  /// ceiling >= 1; `start` is clipped to [1, ceiling].
  ChunkTuner(std::int64_t start, std::int64_t ceiling);

  /// Blocks for the next chunk, in [1, ceiling].
  std::int64_t blocks() const { return blocks_; }
  /// A chunk of blocks() blocks, `rows` rows in all, took so long.
  void report(std::int64_t rows, double seconds);
  /// An allocation failed with `blocks` in flight: half as many for a good while. False at one block.
  bool halve(std::int64_t blocks);

 private:
  enum class Phase { kSeek, kRest, kTrial };

  void seek(double rate);
  void slow(double rate);
  void end_rest(double rate);
  void end_trial(double rate);
  void rest(std::int64_t blocks, int chunks);
  void move_to(std::int64_t blocks);

  std::int64_t ceiling_;
  std::int64_t blocks_;
  Phase phase_ = Phase::kSeek;
  double previous_ = 0;  ///< rate of the chunk before; 0: none
  double best_ = 0;      ///< rate that two chunks in turn have reached
  std::int64_t best_blocks_;
  int slow_chunks_ = 0;           ///< in turn
  int shrinks_ = 0;               ///< in turn
  double rate_at_mark_ = 0;       ///< what a trial or the shrinks are to improve on
  std::int64_t mark_blocks_ = 1;  ///< and the size to go back to
  int chunks_left_ = 0;           ///< of a rest or a trial
};

}  // namespace phase0::core

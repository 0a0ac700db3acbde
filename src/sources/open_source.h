#pragma once

#include <memory>
#include <string>

#include "core/memory.h"
#include "phase0/convert.h"
#include "sources/sequence_reader.h"

namespace phase0::sources {

/// What opening and reading may use.
struct SourceRoom {
  core::MemoryBudget& memory;  ///< for the list of sequences; must outlive the reader
  std::string folder;          ///< for a scratch file, where one is needed
};

/// Opens `options.input` as what `options.kind` says or its name shows, and checks that all sequences are
/// alike. Throws Error (kConfig when the kind cannot be told; kData, kStorage; kMemory when the list of
/// sequences does not fit).
std::unique_ptr<SequenceReader> open_source(const ImportOptions& options, const SourceRoom& room);

/// The file of lengths that belongs to one .npy of all frames.
std::string lengths_path(const ImportOptions& options);

/// A folder with one .npy [T, D] per sequence, ID.npy; sequences in byte order of the id, other files
/// ignored.
std::unique_ptr<SequenceReader> open_npy_folder(const std::string& folder, const SourceRoom& room);
/// One .npy [T, D] of all frames and a text file with one length a line; ids from a file of one a line, or
/// STEM-0, STEM-1, ... when `ids_path` is empty.
std::unique_ptr<SequenceReader> open_npy_lengths(const std::string& path, const std::string& lengths_path,
                                                 const std::string& ids_path, const SourceRoom& room);
/// A .npz of one array [T, D] per sequence, stored or deflated, in the archive's order. One that is deflated
/// and in Fortran order is unpacked into a scratch file to be read by rows.
std::unique_ptr<SequenceReader> open_npz(const std::string& path, const SourceRoom& room);
/// Whether a file begins as an archive of binary objects does: an id, a blank, and Kaldi's mark.
bool is_kaldi_ark(const std::string& path);
/// A Kaldi archive of binary matrices.
std::unique_ptr<SequenceReader> open_kaldi_ark(const std::string& path, const SourceRoom& room);
/// A Kaldi script file: `id ARK:OFFSET[ROWS,COLUMNS]` a line.
std::unique_ptr<SequenceReader> open_kaldi_scp(const std::string& path, const SourceRoom& room);

}  // namespace phase0::sources

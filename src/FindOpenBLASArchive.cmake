# OpenBLAS as a static archive: the target OpenBLASArchive::OpenBLASArchive.
#
# The serial flavour comes first (Debian: libopenblas-serial-dev). The threaded ones start threads as they are
# loaded, which spin for ever, at exit and in every fork, where a resource limit refuses them memory; and the
# system's alternatives, not the program, choose among the shared libraries of that one name. The serial
# flavour's work buffers are for one thread, so an archive it must be: src/linalg/blas_buffers.cpp takes the
# place of its allocator (--wrap) and hands them out.
set(_serial openblas-serial)
find_library(OpenBLASArchive_LIBRARY NAMES libopenblas.a PATH_SUFFIXES ${_serial} openblas-pthread openblas)
find_path(OpenBLASArchive_INCLUDE_DIR NAMES cblas.h PATH_SUFFIXES ${_serial} openblas-pthread openblas)
mark_as_advanced(OpenBLASArchive_LIBRARY OpenBLASArchive_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLASArchive
  REQUIRED_VARS OpenBLASArchive_LIBRARY OpenBLASArchive_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install libopenblas-serial-dev, or the static OpenBLAS of your system")

if(OpenBLASArchive_FOUND AND NOT TARGET OpenBLASArchive::OpenBLASArchive)
  if(NOT OpenBLASArchive_LIBRARY MATCHES "/${_serial}/")
    message(WARNING "${OpenBLASArchive_LIBRARY} may be a threaded OpenBLAS: under a small limit of address "
                    "space (ulimit -v) programs that hold it can hang. Debian's libopenblas-serial-dev does not.")
  endif()
  find_package(Threads REQUIRED)
  add_library(OpenBLASArchive::OpenBLASArchive STATIC IMPORTED)
  set_target_properties(OpenBLASArchive::OpenBLASArchive PROPERTIES
    IMPORTED_LOCATION ${OpenBLASArchive_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${OpenBLASArchive_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES "Threads::Threads;m"
    INTERFACE_LINK_OPTIONS "LINKER:--wrap=blas_memory_alloc,--wrap=blas_memory_free")
endif()
unset(_serial)

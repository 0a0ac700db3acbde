#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "phase0/error.h"

namespace phase0::test {

/// Runs `action`, which must throw an Error of `kind` whose text holds `fragment`.
inline void expect_error(ErrorKind kind, const std::string& fragment, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one with \"" << fragment << "\"";
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << error.what();
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos)
        << "message: " << error.what() << "\nexpected in it: " << fragment;
  }
}

}  // namespace phase0::test

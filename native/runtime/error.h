// Errors of native work as plain data: a code for programs, a message for people. Knows nothing of
// JavaScript.
#pragma once

#include <stdexcept>
#include <string>

namespace sam3_tracker {

// The codes that lib/core/errors.ts lists; the names are the same.
enum class ErrorCode {
  kDeviceUnavailable,
  kOutOfMemory,
  kFileNotFound,
  kFileInvalid,
  kFileNotWritten,
  kWeightsMissing,
  kWeightsUnexpected,
  kWeightsShape,
  kConfigMismatch,
  kDisposed,
  kEnvironmentClosing,
  kInvalidArgument,  // becomes a RangeError
  kNativeError,
};

// The code's name in lib/core/errors.ts.
const char* ErrorCodeName(ErrorCode code);

// What our own native code throws.
class Sam3Error : public std::runtime_error {
 public:
  Sam3Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// A caught error as plain data, so that it can cross threads.
struct NativeError {
  ErrorCode code = ErrorCode::kNativeError;
  std::string message;
  // The whole native text where `message` is a shortened form of it; otherwise empty.
  std::string details;
};

// Turns the exception that is being handled into data. Call it inside a catch block only.
NativeError DescribeCurrentException();

}  // namespace sam3_tracker

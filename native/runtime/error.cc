#include "runtime/error.h"

#include <c10/util/Exception.h>

#include <new>

namespace sam3_tracker {
namespace {

// The TorchScript interpreter prefixes an error with a traceback of the graph's source; the cause is its last
// line.
NativeError FromText(std::string text) {
  NativeError error;
  if (text.empty()) text = "an unknown error in libtorch";
  error.message = text;
  const std::string marker = "RuntimeError: ";
  const size_t position = text.rfind(marker);
  if (text.find("TorchScript") != std::string::npos && position != std::string::npos) {
    error.message = text.substr(position + marker.size());
    error.details = text;
  }
  while (!error.message.empty() && (error.message.back() == '\n' || error.message.back() == ' ')) {
    error.message.pop_back();
  }
  if (text.find("can't allocate memory") != std::string::npos ||
      text.find("out of memory") != std::string::npos) {
    error.code = ErrorCode::kOutOfMemory;
    error.details = text;
    error.message = "Not enough memory for this call: " + error.message;
  }
  return error;
}

}  // namespace

const char* ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kDeviceUnavailable:
      return "DEVICE_UNAVAILABLE";
    case ErrorCode::kOutOfMemory:
      return "OUT_OF_MEMORY";
    case ErrorCode::kFileNotFound:
      return "FILE_NOT_FOUND";
    case ErrorCode::kFileInvalid:
      return "FILE_INVALID";
    case ErrorCode::kFileNotWritten:
      return "FILE_NOT_WRITTEN";
    case ErrorCode::kWeightsMissing:
      return "WEIGHTS_MISSING";
    case ErrorCode::kWeightsUnexpected:
      return "WEIGHTS_UNEXPECTED";
    case ErrorCode::kWeightsShape:
      return "WEIGHTS_SHAPE";
    case ErrorCode::kConfigMismatch:
      return "CONFIG_MISMATCH";
    case ErrorCode::kDisposed:
      return "DISPOSED";
    case ErrorCode::kEnvironmentClosing:
      return "ENVIRONMENT_CLOSING";
    case ErrorCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorCode::kNativeError:
      return "NATIVE_ERROR";
  }
  return "NATIVE_ERROR";
}

NativeError DescribeCurrentException() {
  try {
    throw;
  } catch (const Sam3Error& error) {
    return NativeError{error.code(), error.what(), ""};
  } catch (const c10::OutOfMemoryError& error) {
    return NativeError{ErrorCode::kOutOfMemory, error.what_without_backtrace(), ""};
  } catch (const c10::Error& error) {
    return FromText(error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return NativeError{ErrorCode::kOutOfMemory, "not enough memory", ""};
  } catch (const std::exception& error) {
    return FromText(error.what());
  } catch (...) {
    return NativeError{ErrorCode::kNativeError, "an unknown native error", ""};
  }
}

}  // namespace sam3_tracker

#include "addon/tensor_object.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <memory>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/operator_functions.h"
#include "addon/promise_job.h"
#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/writable_memory.h"

namespace sam3_tracker {
namespace {

constexpr napi_type_tag kTensorTag = {0x6f1b3f0c5a2e4d17ULL, 0x9c7d21e84b6a5f30ULL};

// Copies a typed array's bytes to `offset` of a contiguous CPU tensor; `expected` is how many there must be.
void CopyInto(at::Tensor* tensor, size_t offset, const Napi::Value& value, size_t expected) {
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), "Expected a typed array for data.");
  const Napi::TypedArray data = value.As<Napi::TypedArray>();
  if (data.ByteLength() != expected || offset + expected > tensor->nbytes()) {
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected " + std::to_string(expected) +
                                                     " bytes of data but received " +
                                                     std::to_string(data.ByteLength()) + ".");
  }
  if (expected == 0) return;
  const auto* source = static_cast<const char*>(data.ArrayBuffer().Data()) + data.ByteOffset();
  std::memcpy(static_cast<char*>(tensor->data_ptr()) + offset, source, expected);
}

Napi::Array Integers(Napi::Env env, c10::IntArrayRef values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    array.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(values[i])));
  }
  return array;
}

}  // namespace

Napi::Function TensorObject::Define(Napi::Env env) {
  return DefineClass(env, "NativeTensor",
                     {
                         InstanceAccessor<&TensorObject::Dims>("dims"),
                         InstanceAccessor<&TensorObject::Strides>("strides"),
                         InstanceAccessor<&TensorObject::DType>("dtype"),
                         InstanceAccessor<&TensorObject::Device>("device"),
                         InstanceAccessor<&TensorObject::Disposed>("disposed"),
                         InstanceMethod<&TensorObject::Bytes>("bytes"),
                         InstanceMethod<&TensorObject::Write>("write"),
                         InstanceMethod<&TensorObject::View>("view"),
                         InstanceMethod<&TensorObject::To>("to"),
                         InstanceMethod<&TensorObject::Dispose>("dispose"),
                     });
}

Napi::Value TensorObject::Wrap(Napi::Env env, const at::Tensor& tensor) {
  // Called without arguments the constructor makes an empty handle, which is filled here.
  const Napi::Object object = Environment::Get(env).tensor_constructor.New({});
  Napi::ObjectWrap<TensorObject>::Unwrap(object)->Hold(tensor);
  return object;
}

Napi::Array TensorObject::WrapList(Napi::Env env, const std::vector<at::Tensor>& tensors) {
  Napi::Array array = Napi::Array::New(env, tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) array.Set(static_cast<uint32_t>(i), Wrap(env, tensors[i]));
  return array;
}

at::Tensor TensorObject::FromValue(const Napi::Value& value, const std::string& name) {
  const Napi::Env env = value.Env();
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTensorTag)) {
    throw Napi::TypeError::New(env, "Expected a Tensor for " + name + ".");
  }
  return Napi::ObjectWrap<TensorObject>::Unwrap(value.As<Napi::Object>())->Get(env);
}

TensorObject::TensorObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TensorObject>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTensorTag);
  if (info.Length() == 0) return;
  const Napi::Env env = info.Env();
  Guarded(env, [&] {
    const DTypeEntry& dtype = DTypeFromName(As<std::string>(info[0], "dtype"));
    const std::vector<int64_t> dims = As<std::vector<int64_t>>(info[1], "dims");
    at::Tensor tensor = at::empty(dims, at::TensorOptions().dtype(dtype.scalar_type));
    if (!info[2].IsNull()) CopyInto(&tensor, 0, info[2], tensor.nbytes());
    Hold(tensor);
  });
}

TensorObject::~TensorObject() { Release(); }

void TensorObject::Hold(const at::Tensor& tensor) {
  tensor_ = tensor;
  external_memory_ = Environment::Get(Env()).external_memory();
  external_memory_->Add(Env(), tensor_);
}

void TensorObject::Release() {
  if (!tensor_.defined()) return;
  external_memory_->Remove(Env(), tensor_);
  tensor_ = at::Tensor();
}

const at::Tensor& TensorObject::Get(Napi::Env env) const {
  if (!tensor_.defined()) {
    throw ToJsError(env, NativeError{ErrorCode::kDisposed, "This tensor has been disposed.", ""});
  }
  return tensor_;
}

Napi::Value TensorObject::Dims(const Napi::CallbackInfo& info) {
  return Integers(info.Env(), Get(info.Env()).sizes());
}

Napi::Value TensorObject::Strides(const Napi::CallbackInfo& info) {
  return Integers(info.Env(), Get(info.Env()).strides());
}

Napi::Value TensorObject::DType(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    return Napi::String::New(info.Env(), DTypeFromScalarType(Get(info.Env()).scalar_type()).name);
  });
}

Napi::Value TensorObject::Device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), DeviceName(Get(info.Env()).device()));
}

Napi::Value TensorObject::Disposed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), !tensor_.defined());
}

Napi::Value TensorObject::Bytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&]() -> Napi::Value {
    const at::Tensor& tensor = Get(env);
    if (!tensor.is_cpu()) {
      throw Sam3Error(
          ErrorCode::kInvalidArgument,
          "The data of a tensor on " + DeviceName(tensor.device()) +
              " cannot be read directly. Await tensor.cpu() first and read the data of its result.");
    }
    const at::Tensor contiguous = tensor.contiguous();
    const size_t bytes = contiguous.nbytes();
    if (bytes == 0) return Napi::ArrayBuffer::New(env, 0);
    MarkWritable(contiguous);
    auto keeper = std::make_unique<at::Tensor>(contiguous);
    napi_value buffer = nullptr;
    const napi_status status = napi_create_external_arraybuffer(
        env, contiguous.data_ptr(), bytes,
        [](napi_env, void*, void* hint) {
          const std::unique_ptr<at::Tensor> owned(static_cast<at::Tensor*>(hint));
        },
        keeper.get(), &buffer);
    if (status == napi_ok) {
      keeper.release();
      return Napi::Value(env, buffer);
    }
    if (status != napi_no_external_buffers_allowed) throw Napi::Error::New(env);
    Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(env, bytes);
    std::memcpy(copy.Data(), contiguous.data_ptr(), bytes);
    return copy;
  });
}

void TensorObject::Write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Guarded(env, [&] {
    at::Tensor tensor = Get(env);
    if (!tensor.is_cpu() || !tensor.is_contiguous()) {
      throw Sam3Error(ErrorCode::kInvalidArgument, "Expected a contiguous tensor on the CPU to write to.");
    }
    MarkWritable(tensor);
    const int64_t offset = As<int64_t>(info[0], "offset");
    if (offset < 0) throw Sam3Error(ErrorCode::kInvalidArgument, "Expected an offset of at least 0.");
    if (!info[1].IsTypedArray()) throw Napi::TypeError::New(env, "Expected a typed array for data.");
    CopyInto(&tensor, static_cast<size_t>(offset), info[1], info[1].As<Napi::TypedArray>().ByteLength());
  });
}

Napi::Value TensorObject::View(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] { return Wrap(env, ViewOf(Get(env), info[0])); });
}

Napi::Value TensorObject::To(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    return RunJob(
        env, Environment::Get(env).tensor_executor(),
        [tensor = Get(env), device = fields.Device(), dtype = fields.DType()] {
          return tensor.to(device, dtype);
        },
        [](Napi::Env job_env, at::Tensor&& result) { return Wrap(job_env, result); });
  });
}

void TensorObject::Dispose(const Napi::CallbackInfo&) { Release(); }

}  // namespace sam3_tracker

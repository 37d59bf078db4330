//! Launching: a kernel by name, its arguments, its grid.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use candle_core::cuda_backend::cudarc::driver::{CudaFunction, CudaModule, CudaSlice, DevicePtr, LaunchConfig, PushKernelArg, sys};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::cuda_backend::{CudaDType, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Shape, Storage, Tensor};
use half::bf16;

use super::profile;

/// A file of kernels.
#[derive(Clone, Copy)]
pub(super) struct Module {
    pub(super) name: &'static str,
    /// Machine code.
    pub(super) code: &'static [u8],
}

/// The compiled kernels of a `.cu` file.
macro_rules! module {
    ($name:literal) => {
        crate::model::ops::cuda::launch::Module { name: $name, code: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".cubin")) }
    };
}
pub(super) use module;

/// An argument. Structures are passed as the 8-byte words they are made of.
#[derive(Clone)]
enum Arg {
    Address(u64),
    Int(i32),
    Float(f32),
    Long(i64),
    Words(Box<[u64]>),
}

/// Kernels that are loaded, by device, module and name: asking the driver each time would cost as much as a launch.
static LOADED: LazyLock<Mutex<Loaded>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Loaded {
    modules: HashMap<(usize, &'static str), Arc<CudaModule>>,
    functions: HashMap<(usize, &'static str), HashMap<String, CudaFunction>>,
}

fn function(module: Module, name: &str, device: &CudaDevice) -> Result<CudaFunction> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let key = (context.ordinal(), module.name);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(function) = loaded.functions.get(&key).and_then(|functions| functions.get(name)) {
        return Ok(function.clone());
    }
    let failed = || format!("the GPU cannot load the kernel {name}: was this built for its compute capability?");
    let code = match loaded.modules.get(&key) {
        Some(code) => Arc::clone(code),
        None => context.load_module(Ptx::from_binary(module.code.to_vec())).w().with_context(failed)?,
    };
    let function = code.load_function(name).w().with_context(failed)?;
    loaded.modules.insert(key, code);
    loaded.functions.entry(key).or_default().insert(name.to_owned(), function.clone());
    Ok(function)
}

/// A kernel call being put together.
pub(super) struct Call<'a> {
    device: &'a CudaDevice,
    name: String,
    function: CudaFunction,
    args: Vec<Arg>,
    shared: u32,
}

impl<'a> Call<'a> {
    /// The kernel `name` of a module, of the form for the type of `like`: `name_f32` or `name_bf16`.
    pub(super) fn typed(module: Module, name: &str, like: &'a Tensor) -> Result<Self> {
        let suffix = match like.dtype() {
            DType::F32 => "f32",
            DType::BF16 => "bf16",
            other => bail!("no kernel {name} for tensors of type {other:?}"),
        };
        Self::new(module, &format!("{name}_{suffix}"), cuda(like.device())?)
    }

    /// The kernel of exactly this name.
    pub(super) fn new(module: Module, name: &str, device: &'a CudaDevice) -> Result<Self> {
        Ok(Self { device, name: name.to_owned(), function: function(module, name, device)?, args: Vec::with_capacity(16), shared: 0 })
    }

    /// A tensor's first element.
    pub(super) fn tensor(self, tensor: &Tensor) -> Result<Self> {
        let address = address(tensor)?;
        Ok(self.address(address))
    }

    /// A tensor's first element, or null.
    pub(super) fn optional(self, tensor: Option<&Tensor>) -> Result<Self> {
        match tensor {
            Some(tensor) => self.tensor(tensor),
            None => Ok(self.address(0)),
        }
    }

    pub(super) fn address(mut self, address: u64) -> Self {
        self.args.push(Arg::Address(address));
        self
    }

    pub(super) fn int(mut self, value: usize) -> Result<Self> {
        self.args.push(Arg::Int(i32::try_from(value).context("a tensor is too large for its kernel")?));
        Ok(self)
    }

    /// A 64-bit integer.
    pub(super) fn long(mut self, value: usize) -> Result<Self> {
        self.args.push(Arg::Long(i64::try_from(value)?));
        Ok(self)
    }

    pub(super) fn flag(mut self, value: bool) -> Self {
        self.args.push(Arg::Int(i32::from(value)));
        self
    }

    pub(super) fn float(mut self, value: f32) -> Self {
        self.args.push(Arg::Float(value));
        self
    }

    /// A structure of 8-byte aligned words.
    pub(super) fn words(mut self, words: Vec<u64>) -> Self {
        self.args.push(Arg::Words(words.into_boxed_slice()));
        self
    }

    /// Dynamic shared memory, in bytes.
    pub(super) fn shared(mut self, bytes: usize) -> Result<Self> {
        self.shared = u32::try_from(bytes)?;
        // 48 KiB without asking, those that the kernel declares itself counted in.
        if bytes > 32 * 1024 {
            self.function
                .set_attribute(sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, i32::try_from(bytes)?)
                .w()
                .with_context(|| format!("the GPU has less than {bytes} bytes of shared memory a block"))?;
        }
        Ok(self)
    }

    /// Puts the call on the stream.
    pub(super) fn launch(self, grid: (usize, usize, usize), block: usize) -> Result<()> {
        if grid.0 == 0 || grid.1 == 0 || grid.2 == 0 {
            return Ok(());
        }
        ensure!(grid.1 <= 65_535 && grid.2 <= 65_535, "a grid of {grid:?} is more than a GPU takes");
        let grid = (u32::try_from(grid.0)?, u32::try_from(grid.1)?, u32::try_from(grid.2)?);
        let config = LaunchConfig { grid_dim: grid, block_dim: (u32::try_from(block)?, 1, 1), shared_mem_bytes: self.shared };
        let stream = self.device.cuda_stream();
        let mut builder = stream.launch_builder(&self.function);
        for arg in &self.args {
            match arg {
                Arg::Address(value) => builder.arg(value),
                Arg::Int(value) => builder.arg(value),
                Arg::Float(value) => builder.arg(value),
                Arg::Long(value) => builder.arg(value),
                // The driver copies as many bytes as the kernel's parameter has, beginning at this address.
                Arg::Words(words) => builder.arg(&words[0]),
            };
        }
        let whole = Device::Cuda(self.device.clone());
        profile::timed(
            &whole,
            || self.name.clone(),
            || {
                // SAFETY: the callers in this folder check tensors against what their kernel reads and writes.
                unsafe { builder.launch(config) }.w()?;
                Ok(())
            },
        )
    }
}

/// The CUDA device of a tensor's device.
pub(super) fn cuda(device: &Device) -> Result<&CudaDevice> {
    match device {
        Device::Cuda(device) => Ok(device),
        other => bail!("a kernel was asked of {other:?}"),
    }
}

/// Multiprocessors of a device.
pub(super) fn multiprocessors(device: &Device) -> Result<usize> {
    let context = cuda(device)?.cuda_stream().context().clone();
    Ok(context.attribute(sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).w()? as usize)
}

/// Device address of a storage of elements of type `T`.
fn storage_address<T: CudaDType>(storage: &CudaStorage) -> Result<u64> {
    let slice: &CudaSlice<T> = storage.as_cuda_slice::<T>()?;
    let stream = storage.device.cuda_stream();
    // All kernels run on this one stream, so the guard that would order several has nothing to do.
    let (address, _guard) = slice.device_ptr(&stream);
    Ok(address)
}

/// Device address of a contiguous tensor's first element.
pub(super) fn address(tensor: &Tensor) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    ensure!(layout.is_contiguous(), "a kernel was given a tensor that is not contiguous: shape {:?}", layout.shape());
    let Storage::Cuda(storage) = &*storage else { bail!("a kernel was given a tensor that is not on its GPU") };
    let first = match tensor.dtype() {
        DType::F32 => storage_address::<f32>(storage)?,
        DType::BF16 => storage_address::<bf16>(storage)?,
        DType::U32 => storage_address::<u32>(storage)?,
        other => bail!("a kernel was given a tensor of type {other:?}"),
    };
    Ok(first + (layout.start_offset() * tensor.dtype().size_in_bytes()) as u64)
}

/// A tensor whose elements are not set: for a kernel that writes every one of them.
pub(super) fn unset(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    let shape = shape.into();
    let cuda = cuda(device)?;
    let count = shape.elem_count();
    // SAFETY: the memory is written by the kernel that this tensor is the output of, before anything reads it.
    let storage = unsafe {
        match dtype {
            DType::F32 => CudaStorage::wrap_cuda_slice(cuda.alloc::<f32>(count)?, cuda.clone()),
            DType::BF16 => CudaStorage::wrap_cuda_slice(cuda.alloc::<bf16>(count)?, cuda.clone()),
            DType::U32 => CudaStorage::wrap_cuda_slice(cuda.alloc::<u32>(count)?, cuda.clone()),
            other => bail!("no kernel writes tensors of type {other:?}"),
        }
    };
    Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
}

/// A tensor must be this wide; rows are read eight elements at a time.
pub(super) fn rows_of_eight(tensor: &Tensor) -> Result<(usize, usize)> {
    let (rows, width) = tensor.dims2()?;
    ensure!(width.is_multiple_of(8), "kernels need widths that are multiples of 8, not {width}");
    Ok((rows, width))
}

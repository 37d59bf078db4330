//! `--device cpu|cuda|cuda:N` to a device and the type of the frozen weights there. Asked for and absent is an error.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device};

/// The device a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// Host processor, f32 weights.
    Cpu,
    /// CUDA device of the given ordinal, bf16 weights.
    Cuda(usize),
}

impl DeviceChoice {
    /// Opens the device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => {
                bail!("this ballast was built without CUDA: build it with `cargo build --release --features cuda`, or use --device cpu")
            }
            Self::Cuda(ordinal) => {
                let device = Device::new_cuda(ordinal)
                    .with_context(|| format!("CUDA device {ordinal} cannot be opened: check nvidia-smi, or use --device cpu"))?;
                #[cfg(feature = "cuda")]
                super::ops::cuda::memory::prepare(&device)?;
                Ok(device)
            }
        }
    }

    /// Type of the frozen weights on this device.
    pub fn weight_type(self) -> DType {
        match self {
            Self::Cpu => DType::F32,
            Self::Cuda(_) => DType::BF16,
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", ordinal)) => ordinal.parse().map(Self::Cuda).map_err(|_| format!("`{ordinal}` is not a device number")),
            _ => Err(format!("`{text}` is not a device: use cpu, cuda or cuda:N")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

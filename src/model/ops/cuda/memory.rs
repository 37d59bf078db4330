//! The device's memory: how it is kept, and how much is free.

use anyhow::Result;
use candle_core::Device;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{result, sys};

use super::launch::cuda;

/// Sets up a device just opened: one stream does all the work, so buffers carry no events; freed memory stays with the
/// process instead of going back to the driver at every synchronisation.
pub(crate) fn prepare(device: &Device) -> Result<()> {
    let device = cuda(device)?;
    let stream = device.cuda_stream();
    // SAFETY: every kernel and copy of this program runs on the one stream of its device, in order.
    unsafe { device.disable_event_tracking() };
    let mut pool = std::ptr::null_mut();
    let mut keep: u64 = u64::MAX;
    // SAFETY: both calls get valid addresses of live locals, and the ordinal of an open device.
    unsafe {
        sys::cuDeviceGetDefaultMemPool(&raw mut pool, stream.context().cu_device()).result().w()?;
        sys::cuMemPoolSetAttribute(pool, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, (&raw mut keep).cast())
            .result()
            .w()?;
    }
    Ok(())
}

/// Bytes that are free, and bytes in all. What the process has freed itself and keeps counts as used.
pub(crate) fn free(device: &Device) -> Result<(usize, usize)> {
    cuda(device)?.cuda_stream().context().bind_to_thread().w()?;
    Ok(result::mem_get_info().w()?)
}

/// Most bytes that this process has had in use at a time since the last [`reset_peak`].
pub(crate) fn peak(device: &Device) -> Result<u64> {
    let mut bytes: u64 = 0;
    let pool = default_pool(device)?;
    // SAFETY: the attribute is a u64, and the address that of a live local.
    unsafe {
        sys::cuMemPoolGetAttribute(pool, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut bytes).cast()).result().w()?;
    }
    Ok(bytes)
}

/// Begins to measure the peak anew.
pub(crate) fn reset_peak(device: &Device) -> Result<()> {
    let mut zero: u64 = 0;
    let pool = default_pool(device)?;
    // SAFETY: as above; zero is the one value this attribute may be set to.
    unsafe {
        sys::cuMemPoolSetAttribute(pool, sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut zero).cast()).result().w()?;
    }
    Ok(())
}

fn default_pool(device: &Device) -> Result<sys::CUmemoryPool> {
    let stream = cuda(device)?.cuda_stream();
    let mut pool = std::ptr::null_mut();
    // SAFETY: the address is that of a live local.
    unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, stream.context().cu_device()).result().w()? };
    Ok(pool)
}

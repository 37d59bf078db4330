//! The system calls that a single-threaded interpreter needs. Every other one fails with `EPERM`.
//!
//! A list of what is allowed stays safe when the kernel grows a new call; a list of what is forbidden does not.
//! Absent on purpose: sockets, new processes and threads (`clone`, `fork`, `vfork`, `clone3`), sessions and process
//! groups, `ptrace` and reading other processes, mounts and namespaces, users and modes, `prctl`, `bpf`, `io_uring`,
//! `memfd_create`, `userfaultfd`, keys, and setting limits. `truncate` by path is absent because early Landlock does
//! not guard it.
//!
//! Not covered: `execve` must be allowed once, and a filter cannot count. It stays allowed; Landlock leaves only the
//! interpreter and its loader to execute.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule};

/// The compiled filter for the process with this id.
pub(super) fn filter(own_pid: u32) -> Result<BpfProgram> {
    let own = u64::from(own_pid);
    let controls = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIOCLEX, libc::FIONCLEX];
    #[allow(clippy::unnecessary_cast, reason = "the constants have another type with musl")]
    let controls = controls.map(|control| control as u64);
    let descriptor_flags = [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD];
    let file_flags = [libc::F_GETFL, libc::F_SETFL];
    let commands = descriptor_flags.into_iter().chain(file_flags).map(i32::cast_unsigned).map(u64::from);
    // Reading its own limits; a pointer to new values as the third argument would set them.
    let reads_own_limits = vec![equal(0, 0)?, SeccompCondition::new(2, Width::Qword, SeccompCmpOp::Eq, 0)?];

    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().chain(OLD_CALLS).map(|call| (*call, vec![])).collect();
    rules.extend([
        // abort() and signals to itself, to this process alone.
        (libc::SYS_kill, any_of(0, [own])?),
        (libc::SYS_tgkill, any_of(0, [own])?),
        (libc::SYS_ioctl, any_of(1, controls)?),
        // Not F_SETOWN and F_SETSIG, which make the kernel send signals to others, nor leases.
        (libc::SYS_fcntl, any_of(1, commands)?),
        // Not RENAME_WHITEOUT, which leaves a device node behind.
        (libc::SYS_renameat2, any_of(4, [0, u64::from(libc::RENAME_NOREPLACE)])?),
        (libc::SYS_prlimit64, vec![SeccompRule::new(reads_own_limits)?]),
    ]);

    let architecture = std::env::consts::ARCH.try_into().context("this processor has no filter")?;
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    Ok(SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture)?.try_into()?)
}

fn any_of(index: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>> {
    values.into_iter().map(|value| Ok(SeccompRule::new(vec![equal(index, value)?])?)).collect()
}

fn equal(index: u8, value: u64) -> Result<SeccompCondition> {
    Ok(SeccompCondition::new(index, Width::Dword, SeccompCmpOp::Eq, value)?)
}

const ALLOWED: &[i64] = &[
    // Open files and pipes.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    // Files by path; Landlock decides which.
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_unlinkat,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    // Signals, time and random numbers.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrandom,
    // The process itself: reading, starting and ending.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_futex,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls of the first Linux ports that newer processors do without.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(target_arch = "aarch64")]
const OLD_CALLS: &[i64] = &[libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLD_CALLS: &[i64] = &[];

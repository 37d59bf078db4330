//! Proves each denial of the sandbox with a program that tries the forbidden thing, and each verdict of the code
//! grader with a candidate that deserves it.
//!
//! Grouped by what is proved: the layers hold, a layer that is missing stops everything, denied acts, endings, honest
//! candidates pass, wrong ones fail, hostile ones never pass.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use ballast::sandbox::{Checked, CodeOutcome, CodeTask, Ending, Layer, Limits, Outcome, Sandbox, check};
use rayon::prelude::*;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

fn sandbox() -> Sandbox {
    Sandbox { helper: PathBuf::from(env!("CARGO_BIN_EXE_ballast")), allow_missing_layers: false }
}

/// Small enough that a program which runs into them ends soon.
fn limits() -> Limits {
    Limits { cpu: Duration::from_millis(600), wall: Duration::from_secs(15), ..Limits::default() }
}

fn short_wall() -> Limits {
    Limits { wall: Duration::from_secs(1), ..limits() }
}

fn run(program: &str, limits: &Limits) -> Outcome {
    sandbox().run(program, limits).expect("the sandbox works here")
}

// The layers

#[test]
fn every_layer_is_in_force() {
    assert_eq!(sandbox().effective_layers().unwrap(), Layer::ALL);
}

/// Makes a kernel call unavailable to this thread and to what it starts, as on a kernel that lacks it.
fn without(calls: &[i64]) {
    let rules = calls.iter().map(|call| (*call, vec![])).collect();
    let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, architecture).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter(&program).unwrap();
}

fn missing_layer_stops_everything(calls: &[i64], layer: Layer) {
    without(calls);
    let error = sandbox().run("print(1)", &limits()).unwrap_err();
    assert!(format!("{error:#}").contains(&format!("the {layer} layer cannot be put in force")), "{error:#}");
    let error = check(&sandbox(), &double(), "def double(x): return 2 * x", &limits()).unwrap_err();
    assert!(format!("{error:#}").contains(&layer.to_string()), "{error:#}");

    let lenient = Sandbox { allow_missing_layers: true, ..sandbox() };
    let outcome = lenient.run("print(1)", &limits()).unwrap();
    assert_eq!((outcome.ending, outcome.stdout.as_str()), (Ending::Exited(0), "1\n"));
    let effective = lenient.effective_layers().unwrap();
    assert!(!effective.contains(&layer), "{effective:?}");
    assert!(effective.contains(&Layer::CleanEnvironment), "{effective:?}");
}

#[test]
fn a_kernel_without_landlock_stops_everything() {
    missing_layer_stops_everything(&[libc::SYS_landlock_create_ruleset], Layer::Landlock);
}

#[test]
fn a_kernel_without_seccomp_filters_stops_everything() {
    missing_layer_stops_everything(&[libc::SYS_seccomp], Layer::Seccomp);
}

#[test]
fn a_kernel_without_limits_stops_everything() {
    missing_layer_stops_everything(&[libc::SYS_prlimit64, libc::SYS_setrlimit], Layer::Rlimits);
}

#[test]
fn a_helper_that_is_no_sandbox_is_an_error() {
    let wrong = Sandbox { helper: PathBuf::from("/bin/true"), ..sandbox() };
    let error = wrong.run("print(1)", &limits()).unwrap_err();
    assert!(error.to_string().contains("could not be set up"), "{error:#}");
}

// Denied acts. Each is written so that a broken sandbox lets it do no harm: signal 0, few forks, bounded memory.

/// Runs `program` with `task` as its variable of that name. Its function `act` must fail with a system error.
fn assert_denied(program: &str, task: &str) {
    let program = format!(
        "import os, sys\nTASK = {task:?}\n{program}\n\
         try:\n    result = act()\nexcept (OSError, RuntimeError, MemoryError) as error:\n    print('denied')\n\
         else:\n    print('allowed:', result)\n"
    );
    // Time is not what denies these: filling memory up to its limit alone can take half a second on a busy machine.
    let limits = Limits { cpu: Duration::from_secs(5), ..limits() };
    let outcome = run(&program, &limits);
    assert_eq!((outcome.stdout.as_str(), outcome.ending), ("denied\n", Ending::Exited(0)), "{}", outcome.stderr);
}

macro_rules! denied {
    ($($name:ident: $program:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_denied($program, "");
        })*
    };
}

denied! {
    fork: "act = os.fork";
    fork_bomb: "def act(): return [os.fork() for _ in range(3)]";
    fork_of_a_terminal: "import pty\nact = pty.fork";
    subprocess: "import subprocess\ndef act(): return subprocess.run(['/bin/true'])";
    posix_spawn: "def act(): return os.posix_spawn('/bin/true', ['true'], {})";
    shell: "def act(): return os.execv('/bin/sh', ['sh', '-c', 'echo allowed'])";
    own_script: "def act():\n    file = os.open('tool', os.O_CREAT | os.O_WRONLY, 0o755)\n    os.write(file, b'#!/bin/sh\\necho allowed\\n')\n    os.close(file)\n    os.execv('./tool', ['tool'])";
    thread_bomb: "import _thread, time\ndef act():\n    for _ in range(100): _thread.start_new_thread(time.sleep, (1,))";
    new_session: "act = os.setsid";
    new_process_group: "def act(): return os.setpgid(0, 0)";
    daemon: "def act():\n    os.setsid()\n    if os.fork(): os._exit(0)";
    connect_to_localhost: "import socket\ndef act(): return socket.create_connection(('127.0.0.1', 22), 1)";
    internet_socket: "import socket\nact = socket.socket";
    unix_socket: "import socket\ndef act(): return socket.socket(socket.AF_UNIX)";
    netlink_socket: "import socket\ndef act(): return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)";
    read_shadow: "def act(): return open('/etc/shadow').read(1)";
    read_passwd: "def act(): return open('/etc/passwd').read(1)";
    read_hosts_environment: "def act(): return open('/proc/1/environ').read()";
    read_parents_environment: "def act(): return open(f'/proc/{os.getppid()}/environ').read()";
    read_parents_memory: "def act(): return open(f'/proc/{os.getppid()}/mem', 'rb')";
    read_own_open_files: "def act(): return os.listdir('/proc/self/fd')";
    list_root: "def act(): return os.listdir('/')";
    list_home: "def act(): return os.listdir('/root' if os.getuid() == 0 else '/home')";
    list_folder_above: "def act(): return os.listdir('..')";
    write_to_temporary_folder: "def act(): return open('/tmp/ballast-escaped', 'w')";
    write_above: "def act(): return open('../ballast-escaped', 'w')";
    write_to_shared_memory: "def act(): return open('/dev/shm/ballast-escaped', 'w')";
    symbolic_link: "def act(): return os.symlink('/etc/passwd', 'link')";
    hard_link: "def act(): return os.link('/etc/passwd', 'link')";
    hard_link_within: "def act(): return os.link('program.py', 'link')";
    new_folder: "def act(): return os.mkdir('folder')";
    named_pipe: "def act(): return os.mkfifo('pipe')";
    device_file: "def act(): return os.mknod('device', 0o20666, os.makedev(1, 1))";
    terminal: "def act(): return open('/dev/tty')";
    disk: "def act():\n    for name in ('sda', 'vda', 'nvme0n1', 'mem', 'kmsg'):\n        try: return open(f'/dev/{name}', 'rb')\n        except OSError: pass\n    raise PermissionError";
    kill_parent: "def act(): return os.kill(os.getppid(), 0)";
    kill_everybody: "def act(): return os.kill(-1, 0)";
    kill_own_group: "def act(): return os.kill(0, 0)";
    kill_init: "def act(): return os.kill(1, 0)";
    raise_limits: "import resource\ndef act():\n    try: return resource.setrlimit(resource.RLIMIT_CPU, (9, 9))\n    except ValueError: raise PermissionError";
    raise_limits_of_parent: "import resource\ndef act(): return resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))";
    lower_priority: "def act(): return os.nice(1)";
    pin_processor: "def act(): return os.sched_setaffinity(0, {0})";
    change_mode: "def act(): return os.chmod('program.py', 0o777)";
    change_owner: "def act(): return os.chown('program.py', 0, 0)";
    change_times: "def act(): return os.utime('program.py')";
    change_user: "def act(): return os.setuid(1)";
    change_groups: "def act(): return os.setgroups([])";
    change_root: "def act(): return os.chroot('.')";
    extended_attribute: "def act(): return os.setxattr('program.py', 'user.a', b'b')";
    anonymous_file: "def act(): return os.memfd_create('file')";
    shared_memory: "from multiprocessing import shared_memory\ndef act(): return shared_memory.SharedMemory(create=True, size=64)";
    process_handle: "def act(): return os.pidfd_open(os.getppid())";
    signals_by_file_owner: "import fcntl\ndef act(): return fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())";
    input_for_the_terminal: "import fcntl\ndef act(): return fcntl.ioctl(0, 0x5412, b'x')";
    big_file: "def act():\n    with open('file', 'wb') as file: file.write(bytes(8 << 20))";
    sparse_file: "def act(): return os.truncate(os.open('file', os.O_CREAT | os.O_RDWR), 8 << 30)";
    many_open_files: "def act(): return [os.dup(0) for _ in range(100)]";
    memory_bomb: "def act(): return bytearray(4 << 30)";
    memory_bomb_in_steps: "def act():\n    kept = []\n    for _ in range(64): kept.append(bytearray(16 << 20))";
    write_own_memory: "def act(): return open('/proc/self/mem', 'r+b')";
    list_self_by_proc: "def act(): return os.listdir('/proc/self')";
    open_files_by_proc: "def act(): return open('/proc/self/fd/3')";
    root_by_proc: "def act(): return os.listdir('/proc/self/root/')";
    folder_of_parent_by_proc: "def act(): return os.listdir(f'/proc/{os.getppid()}/cwd')";
    better_to_be_killed_late: "def act(): return open('/proc/self/oom_score_adj', 'w').write('-1000')";
    core_pattern: "def act(): return open('/proc/sys/kernel/core_pattern', 'w')";
    cgroups: "def act(): return os.listdir('/sys/fs/cgroup')";
    pseudo_terminal: "act = os.openpty";
    abstract_unix_socket: "import socket\ndef act():\n    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n    s.bind('\\0ballast')";
    new_user_namespace: "def act(): return os.unshare(os.CLONE_NEWUSER) if hasattr(os, 'unshare') else os.fork()";
    schedule_as_real_time: "def act(): return os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))";
    raise_own_priority: "def act(): return os.setpriority(os.PRIO_PROCESS, 0, -5)";
    interval_timer_of_others: "import signal\ndef act(): return signal.pidfd_send_signal(0, 0)";
    wait_for_others: "def act(): return os.waitpid(-1, 0)";
    memory_map: "import mmap\ndef act(): return mmap.mmap(-1, 4 << 30)";
}

/// A file of this user's, outside the private folder.
fn own_file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ballast-test-{}-{name}", std::process::id()));
    std::fs::write(&path, "kept").unwrap();
    path
}

fn assert_file_is_safe(name: &str, act: &str) {
    let path = own_file(name);
    assert_denied(&format!("def act(): return {act}"), path.to_str().unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn files_of_the_user_stay_as_they_are() {
    let acts = [
        "open(TASK).read()",
        "open(TASK, 'w')",
        "open(TASK, 'a')",
        "os.open(TASK, os.O_RDONLY | os.O_TRUNC)",
        "os.truncate(TASK, 0)",
        "os.unlink(TASK)",
        "os.rename(TASK, TASK + '-moved')",
        "os.rename(TASK, 'here')",
        "os.rename('program.py', TASK)",
        "os.chmod(TASK, 0)",
        "os.utime(TASK, (1, 1))",
    ];
    for (number, act) in acts.into_iter().enumerate() {
        assert_file_is_safe(&number.to_string(), act);
    }
}

#[test]
fn raw_system_calls_are_denied() {
    let calls = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_memfd_create,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_execveat,
        libc::SYS_open_by_handle_at,
        libc::SYS_prctl,
        libc::SYS_seccomp,
        libc::SYS_landlock_restrict_self,
        libc::SYS_capset,
        libc::SYS_setresuid,
        libc::SYS_shmget,
        libc::SYS_mq_open,
        libc::SYS_inotify_init1,
        libc::SYS_fanotify_init,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_sendmsg,
        libc::SYS_init_module,
        libc::SYS_reboot,
        libc::SYS_io_setup,
        libc::SYS_semget,
        libc::SYS_msgget,
        libc::SYS_kcmp,
        libc::SYS_process_madvise,
        libc::SYS_sched_setscheduler,
        libc::SYS_setpriority,
        libc::SYS_setitimer,
        libc::SYS_timer_create,
        libc::SYS_mlockall,
        libc::SYS_mbind,
        libc::SYS_swapon,
        libc::SYS_clock_settime,
        libc::SYS_sethostname,
        libc::SYS_acct,
        libc::SYS_personality,
        libc::SYS_vhangup,
        libc::SYS_splice,
        libc::SYS_sendfile,
    ];
    let program = format!(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
         for call in {calls:?}:\n    ctypes.set_errno(0)\n    result = libc.syscall(call, 0, 0, 0, 0, 0, 0)\n    \
         assert (result, ctypes.get_errno()) == (-1, 1), (call, result, ctypes.get_errno())\nprint('all denied')"
    );
    let outcome = run(&program, &limits());
    assert_eq!(outcome.stdout, "all denied\n", "{}", outcome.stderr);
}

#[test]
fn the_interpreter_started_anew_is_still_held() {
    let inner = "import os; os.open('/etc/passwd', os.O_RDONLY)";
    let program = format!("import os, sys\nos.execv(sys.executable, [sys.executable, '-S', '-c', {inner:?}])");
    let outcome = run(&program, &limits());
    assert_eq!(outcome.ending, Ending::Exited(1));
    assert!(outcome.stderr.contains("PermissionError"), "{}", outcome.stderr);
}

#[test]
fn the_loader_starts_nothing_else() {
    let program = "import os\nfor loader in ('/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'):\n    if os.path.exists(loader): os.execv(loader, [loader, '/bin/sh', '-c', 'echo allowed'])";
    let outcome = run(program, &limits());
    assert_eq!((outcome.ending, outcome.stdout.as_str()), (Ending::Exited(127), ""), "{}", outcome.stderr);
}

#[test]
fn files_that_the_parent_left_open_are_closed() {
    let leaked = std::fs::File::open(env!("CARGO_BIN_EXE_ballast")).unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    assert_denied("def act(): return os.read(int(TASK), 4)", &leaked.as_raw_fd().to_string());
}

#[test]
fn a_killed_parent_takes_its_programs_along() {
    // A suite whose reference solution says which process it is, and sleeps.
    let suite = tempfile::tempdir().unwrap();
    std::fs::write(
        suite.path().join("suite.toml"),
        "name = \"sleeper\"\nversion = 1\ndescription = \"One that sleeps.\"\ngrader = \"code\"\nmax_new_tokens = 8\nchance = 0.0\nscoring = \"generated\"\n",
    )
    .unwrap();
    let item = r#"{"id": "sleep", "cluster": "sleep", "lang": "en", "subject": "rest", "prompt": "Sleep.", "entry_point": "f", "reference": "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(1000)\ndef f(): return 1", "tests": ["assert f() == 1"]}"#;
    std::fs::write(suite.path().join("items.jsonl"), format!("{item}\n")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["suite", "check"])
        .arg(suite.path())
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let wait_for = |condition: &dyn Fn() -> bool| {
        let ended = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            condition()
        });
        assert!(ended, "waited for 10 s");
    };
    let pid = || {
        let mut private = std::fs::read_dir(folder.path()).ok()?.flatten();
        private.find_map(|entry| std::fs::read_to_string(entry.path().join("pid")).ok()?.parse::<u32>().ok())
    };
    wait_for(&|| pid().is_some());
    let program = PathBuf::from(format!("/proc/{}", pid().unwrap()));
    assert!(program.exists());
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Gone, or dead and waiting for init to notice.
    wait_for(&|| std::fs::read_to_string(program.join("stat")).is_ok_and(|stat| stat.contains(") Z ")) || !program.exists());
}

#[test]
fn the_environment_holds_nothing_of_the_users() {
    let outcome = run("import os\nprint(sorted(os.environ))", &limits());
    assert_eq!(outcome.stdout, "['HOME', 'LC_ALL', 'PYTHONHASHSEED', 'PYTHONSAFEPATH', 'TMPDIR', 'TZ']\n");
}

#[test]
fn without_file_bytes_nothing_can_be_written() {
    let program = "try: open('file', 'w')\nexcept OSError: print('denied')";
    assert_eq!(run(program, &Limits { file_bytes: 0, ..limits() }).stdout, "denied\n");
}

#[test]
fn the_private_folder_works_and_is_removed() {
    let program = "import os, tempfile\nopen('a', 'w').write('x')\nos.rename('a', 'b')\nassert open('b').read() == 'x'\n\
                   with tempfile.TemporaryFile() as file: file.write(b'x')\nprint(os.getcwd(), end='')";
    let outcome = run(program, &limits());
    assert_eq!(outcome.ending, Ending::Exited(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("ballast-"), "{}", outcome.stdout);
    assert!(!std::fs::exists(outcome.stdout).unwrap());
}

// Endings

fn assert_ends(ending: Ending, program: &str) {
    let outcome = run(program, &limits());
    assert_eq!(outcome.ending, ending, "{program}: {}", outcome.stderr);
}

#[test]
fn programs_that_end_by_themselves() {
    assert_ends(Ending::Exited(0), "pass");
    assert_ends(Ending::Exited(7), "import sys; sys.exit(7)");
    assert_ends(Ending::Exited(7), "import os; os._exit(7)");
    assert_ends(Ending::Exited(1), "raise ValueError");
    assert_ends(Ending::Exited(1), "def broken(");
    assert_ends(Ending::Signalled(libc::SIGABRT), "import os; os.abort()");
    assert_ends(Ending::Signalled(libc::SIGKILL), "import os; os.kill(os.getpid(), 9)");
    assert_ends(Ending::Signalled(libc::SIGSEGV), "import ctypes; ctypes.string_at(1)");
}

#[test]
fn programs_that_never_end_are_killed() {
    assert_ends(Ending::CpuLimit, "while True: pass");
    assert_ends(
        Ending::CpuLimit,
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    );
    assert_ends(Ending::CpuLimit, "import re; re.match('(a*)*b', 'a' * 60)");
    assert_ends(Ending::CpuLimit, "10 ** 10 ** 9");
}

#[test]
fn programs_that_wait_are_killed() {
    for program in [
        "import time; time.sleep(1000)",
        "import os; os.kill(os.getpid(), 19)",
        "import os, time\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass\ntime.sleep(1000)",
        "import os; a, b = os.pipe(); os.read(a, 1)",
    ] {
        assert_eq!(run(program, &short_wall()).ending, Ending::WallLimit, "{program}");
    }
}

#[test]
fn floods_are_stopped_and_cut() {
    let outcome = run("while True: print('x' * 1000)", &limits());
    assert_eq!((outcome.ending, outcome.stdout.len()), (Ending::OutputLimit, limits().output_bytes));
    assert_ends(Ending::OutputLimit, "import os\nwhile True: os.write(2, b'x' * 1000)");
    assert_ends(Ending::OutputLimit, "import sys\nsys.stdout.write('x' * 100000)");
    assert_ends(Ending::OutputLimit, "for n in range(10**9): open(str(n), 'wb').write(bytes(100000))");
    assert_ends(Ending::OutputLimit, "for n in range(10**9): open(str(n), 'wb')");
    assert_ends(Ending::Exited(0), "print('x' * 65535)");
}

#[test]
fn output_that_is_no_text_is_replaced() {
    let outcome = run("import os; os.write(1, b'a\\xffb')", &limits());
    assert_eq!(outcome.stdout, "a\u{fffd}b");
}

#[test]
fn runs_repeat() {
    let program = "print({'a', 'b', 'c', 'd'}, hash('x'), list({chr(n) for n in range(99)}))";
    assert_eq!(run(program, &limits()).stdout, run(program, &limits()).stdout);
}

// The code grader

fn task(entry_point: &str, tests: &[&str]) -> CodeTask {
    let tests = tests.iter().map(ToString::to_string).collect();
    CodeTask { entry_point: entry_point.to_owned(), tests, ..CodeTask::default() }
}

fn double() -> CodeTask {
    task("double", &["assert double(2) == 4", "assert double(5) == 10", "assert double('ab') == 'abab'"])
}

fn checked(task: &CodeTask, source: &str) -> Checked {
    check(&sandbox(), task, source, &limits()).expect("the sandbox works here")
}

fn assert_passes(task: &CodeTask, source: &str) {
    let checked = check(&sandbox(), task, source, &Limits::default()).expect("the sandbox works here");
    assert_eq!((checked.outcome, checked.passed), (CodeOutcome::Passed, checked.total), "{}", checked.detail);
    assert_eq!(checked.detail, "");
}

#[test]
fn honest_solutions_pass() {
    let cases: [(&str, &[&str], &str); 14] = [
        ("double", &["assert double(2) == 4"], "def double(x):\n    print('debugging')\n    return 2 * x"),
        ("double", &["assert double(2) == 4"], "double = lambda x: 2 * x\nif __name__ == '__main__':\n    double(input())"),
        (
            "fib",
            &["assert fib(30) == 832040", "assert fib(900) % 1000 == 800"],
            "import functools\n@functools.lru_cache(None)\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfor n in range(0, 900, 100): fib(n)",
        ),
        ("depth", &["assert depth(980) == 980"], "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)"),
        (
            "days",
            &["import datetime", "assert days(datetime.date(2024, 3, 1)) == datetime.date(2024, 2, 29)"],
            "import datetime\ndef days(day): return day - datetime.timedelta(days=1)",
        ),
        (
            "zone",
            &["assert zone('2024-07-01T12:00') == '14:00'"],
            "import datetime, zoneinfo\ndef zone(text):\n    at = datetime.datetime.fromisoformat(text + '+00:00')\n    return at.astimezone(zoneinfo.ZoneInfo('Europe/Berlin')).strftime('%H:%M')",
        ),
        (
            "top",
            &["assert top('banana') == {'a': 3, 'n': 2, 'b': 1}", "assert top('x').most_common(1) == [('x', 1)]"],
            "import collections\ndef top(text): return collections.Counter(text)",
        ),
        (
            "area",
            &["import math", "assert math.isclose(area(2), 4 * math.pi)", "assert area(r=0) == 0.0"],
            "import math\ndef area(r: float) -> float: return math.pi * r ** 2",
        ),
        ("words", &["assert words('a, b;c') == ['a', 'b', 'c']"], "import re\ndef words(text): return re.findall(r'\\w+', text)"),
        ("sort", &["rows = [3, 1, 2]\nassert sort(rows) is None\nassert rows == [1, 2, 3]"], "def sort(rows): rows.sort()"),
        (
            "check_age",
            &[
                "try:\n    check_age(-1)\n    assert False\nexcept ValueError as error:\n    assert str(error) == 'too young: -1'",
                "try:\n    check_age('x')\nexcept TypeError: pass\nelse: assert False",
            ],
            "class TooYoung(ValueError): pass\ndef check_age(n):\n    if n < 0: raise TooYoung(f'too young: {n}')",
        ),
        (
            "factorial",
            &["import math", "assert factorial(3000) == math.factorial(3000)"],
            "import math\ndef factorial(n): return math.prod(range(1, n + 1))",
        ),
        (
            "apply",
            &[
                "assert apply(lambda x: x + 1, [1, 2]) == [2, 3]",
                "assert apply(len, ['a', 'bc']) == [1, 2]",
                "assert apply(str, [1]) == ['1']",
                "try:\n    apply(lambda x: 1 / x, [0])\n    assert False\nexcept ZeroDivisionError: pass",
            ],
            "def apply(f, rows): return [f(row) for row in rows]",
        ),
        (
            "counter",
            &["from itertools import islice", "assert list(islice(counter(5), 3)) == [5, 6, 7]", "assert next(counter(1)) == 1"],
            "def counter(n):\n    while True:\n        yield n\n        n += 1",
        ),
    ];
    cases.par_iter().for_each(|(entry_point, tests, source)| assert_passes(&task(entry_point, tests), source));
}

#[test]
fn setup_runs_on_the_side_of_the_tests() {
    let mut task = task("add", &["check(add)"]);
    task.setup = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(a=1, b=-1) == 0".to_owned();
    assert_passes(&task, "def add(a, b): return a + b");
    assert_eq!(checked(&task, "def add(a, b): return 3").detail, "assert candidate(a=1, b=-1) == 0: got 3");
}

#[test]
fn values_cross_with_their_exact_type() {
    let values = [
        "None",
        "True",
        "0",
        "-7",
        "1 << 63",
        "-(1 << 64)",
        "big",
        "0.1",
        "-0.0",
        "1e308",
        "float('inf')",
        "float('-inf')",
        "''",
        "'\\x00\\ud800 é 𝄞 \"'",
        "b'\\xff'",
        "bytearray(b'a')",
        "[]",
        "[[1], (2,), {3}]",
        "()",
        "(1, (2.0, [True]))",
        "{}",
        "{1: 'a', '1': 'b', (1, 2): None, 2.5: [{}]}",
        "{True: 1, 'dict': {'int': 'ff'}}",
        "set()",
        "{1, 'a'}",
        "frozenset({1})",
        "range(1, 9, 2)",
        "1 + 2j",
        "complex('inf')",
        "int",
        "dict",
        "type(None)",
        "Counter('aab')",
        "OrderedDict([(2, 1), (1, 2)])",
        "defaultdict(int, a=1)",
        "deque([1, 2], 3)",
        "datetime.date(1, 2, 3)",
        "datetime.time(1, 2, 3, 4)",
        "datetime.datetime(2024, 2, 29, 23, 59, 59, 999999)",
        "datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)",
        "datetime.timedelta(-1, 2, 3)",
        "Decimal('1.10')",
        "Decimal('-Infinity')",
        "Fraction(-1, 3)",
        "'x' * 300000",
        "list(range(50000))",
    ];
    let imports = "import datetime\nfrom collections import *\nfrom decimal import *\nfrom fractions import *\nbig = 10 ** 5000";
    let tests = values.map(|value| {
        format!("sent = {value}\nback = same(value=[sent])[0]\nassert back == sent and type(back) is type(sent) and (sent == big or repr(back) == repr(sent))")
    });
    let task = CodeTask { entry_point: "same".to_owned(), setup: imports.to_owned(), tests: tests.to_vec(), ..CodeTask::default() };
    assert_passes(&task, &format!("{imports}\ndef same(value):\n    return [x for x in value]"));

    let views = task_with_nan();
    assert_passes(
        &views,
        "def make(kind):\n    d = {'a': 1, 'b': 2}\n    return {'nan': float('nan'), 'keys': d.keys(), 'values': d.values(), 'items': d.items(), 'zip': zip('ab', [1, 2]), 'map': map(str, [1]), 'reversed': reversed([1, 2]), 'closure': lambda x: lambda y: x + y}[kind]",
    );
}

fn task_with_nan() -> CodeTask {
    task(
        "make",
        &[
            "import math",
            "assert math.isnan(make('nan'))",
            "assert make('keys') == {'a', 'b'} and list(make('values')) == [1, 2] and ('a', 1) in make('items')",
            "assert list(make('zip')) == [('a', 1), ('b', 2)] and list(make('map')) == ['1']",
            "assert list(make('reversed')) == [2, 1]",
            "assert make('closure')(1)(2) == 3",
        ],
    )
}

#[test]
fn changes_in_place_reach_the_tests() {
    let tests = [
        "a = [3, 1]\nb = change(a)\nassert b is a and a == [3, 1, 'new']",
        "a = {'k': 1}\nassert change(a) is a and a == {'k': 1, 'new': 1}",
        "a = {1}\nchange(a)\nassert a == {1, 'new'}",
        "row = [1]\ngrid = [row, [2]]\ngrid_change(grid)\nassert row == [9] and grid == [[9], [2]] and grid[0] is row",
    ];
    let mut task = task("change", &tests[..3]);
    let source = "def change(x):\n    x.append('new') if isinstance(x, list) else x.add('new') if isinstance(x, set) else x.update(new=1)\n    return x\ndef grid_change(grid): grid[0][0] = 9";
    assert_passes(&task, source);
    task = CodeTask { entry_point: "grid_change".to_owned(), tests: vec![tests[3].to_owned()], ..task };
    assert_passes(&task, source);
}

fn assert_verdict(verdict: CodeOutcome, passed: usize, detail: &str, task: &CodeTask, source: &str) {
    let checked = checked(task, source);
    assert_eq!((checked.outcome, checked.passed), (verdict, passed), "{source}: {}", checked.detail);
    assert!(checked.detail.contains(detail), "{source}: {}", checked.detail);
}

#[test]
fn verdicts_say_what_was_wrong() {
    use CodeOutcome::{Failed, Killed, OutOfMemory, OutputLimit, Raised, SyntaxError, TimedOut};
    let cases = [
        (Failed, 1, "assert double(5) == 10: got 4", "def double(x): return 4"),
        (Failed, 0, "got None", "def double(x): print(2 * x)"),
        (Raised, 2, "TypeError: unsupported operand", "def double(x): return x / 0.5 if x != '' else 0"),
        (Raised, 0, "ZeroDivisionError: division by zero", "def double(x): return 1 / 0"),
        (Raised, 0, "NameError: name 'double' is not defined", "def triple(x): return 3 * x"),
        (Raised, 0, "TypeError: 'int' object is not callable", "double = 3"),
        (Raised, 0, "ModuleNotFoundError: No module named 'numpy'", "import numpy\ndef double(x): return 2 * x"),
        (Raised, 0, "RecursionError", "def double(x): return double(x)"),
        (Raised, 0, "EOFError", "x = input()"),
        (Raised, 0, "AssertionError", "def double(x): assert False"),
        (Raised, 0, "SystemExit: 0", "def double(x): raise SystemExit(0)"),
        (SyntaxError, 0, "SyntaxError: '(' was never closed", "def double("),
        (SyntaxError, 0, "IndentationError", "def double(x):\nreturn x"),
        (SyntaxError, 0, "null bytes", "\0"),
        (TimedOut, 0, "processor time", "while True: pass"),
        (TimedOut, 1, "processor time", "def double(x):\n    while x > 2: pass\n    return 2 * x"),
        (OutOfMemory, 0, "MemoryError", "def double(x): return [0] * 10 ** 10"),
        (OutOfMemory, 0, "MemoryError", "x = bytearray(1 << 32)"),
        (OutputLimit, 0, "too much", "def double(x):\n    while True: print('x' * 1000)"),
        (OutputLimit, 0, "more than 16 MiB", "def double(x): return 'x' * (20 << 20)"),
        (Killed, 0, "exit code 3", "import os\ndef double(x): os._exit(3)"),
        (Killed, 0, "signal 11", "import ctypes\ndef double(x): ctypes.string_at(1)"),
        (Failed, 0, "Thing is not plain data", "class Thing: pass\ndef double(x): return Thing()"),
        (Failed, 0, "coroutine is not plain data", "async def double(x): return 2 * x"),
        (Failed, 0, "Thing is not plain data", "class Thing: pass\ndef double(x): return [{1: Thing()}]"),
    ];
    cases.par_iter().for_each(|(verdict, passed, detail, source)| {
        assert_verdict(*verdict, *passed, detail, &double(), source);
    });
    let waiting = check(&sandbox(), &double(), "import time; time.sleep(1000)", &short_wall()).unwrap();
    assert_eq!(waiting.outcome, TimedOut, "{}", waiting.detail);
}

#[test]
fn broken_tasks_are_errors_and_no_verdicts() {
    let tasks = [
        task("f", &[]),
        task("f", &["assert f( == 1"]),
        task("f", &["class A: pass\nf(A())"]),
        CodeTask { setup: "import nothing_like_this".to_owned(), ..task("f", &["assert f() == 1"]) },
    ];
    for task in tasks {
        assert!(check(&sandbox(), &task, "def f(*x): return 1", &limits()).is_err(), "{task:?}");
    }
}

#[test]
fn hostile_candidates_never_pass() {
    let lying = "class Lie(BASE):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n    __hash__ = None\n    def __instancecheck__(self, x): return True\n    __class__ = property(lambda self: int)\ndef double(x): return Lie()";
    let mut candidates: Vec<String> =
        ["object", "int", "str", "float", "list", "dict", "tuple", "type"].map(|base| lying.replace("BASE", base)).to_vec();
    candidates.extend(HOSTILE.iter().map(ToString::to_string));
    // Some of them only make both sides wait for each other.
    let limits = Limits { wall: Duration::from_secs(3), ..limits() };
    candidates.par_iter().for_each(|source| {
        let checked = check(&sandbox(), &double(), source, &limits).expect("the sandbox works here");
        assert_ne!(checked.outcome, CodeOutcome::Passed, "{source}");
        assert!(checked.passed < checked.total, "{source}: {checked:?}");
    });
}

/// Candidates for `double`, none of which doubles. Several know the protocol.
const HOSTILE: &[&str] = &[
    "import os; os._exit(0)",
    "import os\ndef double(x): os._exit(0)",
    "import sys; sys.exit(0)",
    "import sys\ndef double(x): sys.exit(0)",
    "raise SystemExit",
    "raise KeyboardInterrupt",
    "import atexit, os; atexit.register(lambda: os.write(2, b'passed'))",
    "print('passed'); print('PASS'); print('[\"passed\",\"\"]'); print('[\"done\",\"\"]')\ndef double(x): print('[\"passed\",\"\"]')",
    "import builtins\nclass Quiet(Exception): pass\nbuiltins.AssertionError = Quiet\ndef double(x): return 0",
    "import builtins\nfor name in list(vars(builtins)):\n    if name.endswith('Error'): setattr(builtins, name, type(None))\ndef double(x): return 0",
    "import builtins\nbuiltins.__build_class__ = builtins.exec = builtins.compile = lambda *a: None\ndef double(x): return 0",
    "def double(x): raise AssertionError",
    "def double(x): raise StopIteration",
    "def double(x): raise GeneratorExit",
    "class AssertionError(BaseException): pass\ndef double(x): raise AssertionError",
    // A channel that is not this process's: every open file gets the lines that the checker writes.
    "import os\nfor fd in range(64):\n    for line in [b'[\"passed\",\"\"]\\n'] * 3 + [b'[\"done\",\"\"]\\n']:\n        try: os.write(fd, line)\n        except OSError: pass\ndef double(x): return 0",
    // Frames that answer before the question, rightly for the first test only.
    "import os\ndef frame(b): return len(b).to_bytes(4, 'big') + b\nfor fd in range(3, 64):\n    try: os.write(fd, frame(b'[\"ready\"]') + frame(b'[\"return\",4,[]]') * 9)\n    except OSError: pass\ndef double(x): return 4",
    "import os\ndef frame(b): return len(b).to_bytes(4, 'big') + b\ndef double(x):\n    for fd in range(3, 64):\n        try: os.write(fd, frame(b'[\"return\",4,[]]') * 9)\n        except OSError: pass\n    return 4",
    "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 60000)\n    except OSError: pass\ndef double(x): return 4",
    "import os\nfor frame in (b'[]', b'{}', b'7', b'[\"return\"]', b'[\"same\",99,[]]', b'[\"call\"]', b'[\"call\",0,[],[]]', b'[\"raise\",[\"AssertionError\"],[],\"\"]', b'[\"ready\"]', b'[' * 20000):\n    for fd in range(3, 64):\n        try: os.write(fd, len(frame).to_bytes(4, 'big') + frame)\n        except OSError: pass\ndef double(x): return 4",
    "import os\ndef frame(b): return len(b).to_bytes(4, 'big') + b\nfor fd in range(3, 64):\n    try: os.write(fd, frame(b'[\"ready\"]') + frame(b'[\"done\"]') + frame(b'[\"passed\"]') * 3)\n    except OSError: pass\nos._exit(0)",
    "import os\nfor fd in range(3, 64):\n    try: os.close(fd)\n    except OSError: pass\ndef double(x): return 2 * x",
    // The scripts around it, reached through frames, modules and the collector.
    "import sys\nmain = sys.modules['__main__']\nmain.Peer.serve = lambda self, call: self.send('[\"return\",{\"dict\":[[[],1]]},[]]')\ndef double(x): return 0",
    "import sys\nmain = sys.modules['__main__']\nmain.quote = lambda s: '\"passed\"'\nmain.Peer.encode = lambda self, value: 'true'\ndef double(x): return 0",
    "import sys\nframe = sys._getframe()\nwhile frame:\n    for name, value in list(frame.f_locals.items()):\n        if hasattr(value, 'fault'): value.fault = None; value.closed = True\n    frame = frame.f_back\ndef double(x): return 0",
    "import gc\nfor thing in gc.get_objects():\n    if type(thing).__name__ == 'Peer': thing.call = thing.serve = thing.send = lambda *a, **k: None\ndef double(x): return 0",
    "import sys\ndef trace(*a): return trace\nsys.settrace(trace)\nsys.setrecursionlimit(10 ** 9)\ndef double(x): return 0",
    "import os\nos.write = os.read = lambda *a: b''\ndef double(x): return 0",
    "import os\nfor name in os.listdir('.'):\n    open(name, 'w').write('raise SystemExit(0)')\ndef double(x): return 0",
    "import os\ndef double(x):\n    names = [name for name in os.listdir('.') if 'task' in name or 'checker' in name]\n    return open(names[0]).read()",
    // What a grader in the same process would fall for.
    "import gc\nfound = [x for x in gc.get_objects() if isinstance(x, (list, tuple)) and any('double(5)' in str(y) for y in x)]\ndef double(x): return {2: 4, 5: 10}[x] if found else 0",
    "import sys, traceback\ntexts = ''.join(str(f.f_locals) for f, _ in traceback.walk_stack(sys._getframe()))\ndef double(x): return eval(texts.split(f'double({x!r}) == ')[1].split(\"'\")[0])",
    "import sys\ndef double(x):\n    frame = sys._getframe()\n    while frame.f_back: frame = frame.f_back\n    return frame.f_globals['tests'][0]",
    "import atexit, os\ndef double(x): return 0\natexit.register(os._exit, 0)",
    "import sys, types\nfor name in list(sys.modules): sys.modules[name] = types.ModuleType(name)\ndouble = type",
    "import importlib, sys\nfor name in ('checker', 'check', 'candidate', 'tests', 'task', 'grader', '__main__'):\n    try: module = importlib.import_module(name)\n    except Exception: continue\n    for key in list(vars(module)):\n        if callable(vars(module)[key]) and not key.startswith('__'): setattr(module, key, lambda *a, **k: True)\ndef double(x): return 0",
    "import builtins\nbuiltins.len = lambda x: 0\nbuiltins.isinstance = lambda *a: True\nbuiltins.all = builtins.any = lambda x: True\ndef double(x): return 0",
    "import operator, builtins\noperator.eq = builtins.eq = lambda a, b: True\nclass int(int):\n    def __eq__(self, other): return True\nbuiltins.int = int\ndef double(x): return int(0)",
    "import json\njson.dumps = json.loads = lambda *a, **k: 4\ndef double(x): return 0",
    "import ctypes\nctypes.c_int.from_address(id(10) + 16).value = 4\ndef double(x): return 4 if x == 5 else 0",
    "import ctypes\nctypes.pythonapi.Py_Exit(0)",
    "import ctypes\ndef double(x): ctypes.CDLL(None)._exit(0)",
    "import faulthandler, signal\nfor n in range(1, 32):\n    try: signal.signal(n, lambda *a: None)\n    except (OSError, ValueError): pass\ndef double(x):\n    signal.raise_signal(15)\n    return 0",
    "import threading\ndef late():\n    import os\n    os._exit(0)\ntry: threading.Timer(0.01, late).start()\nexcept RuntimeError: pass\ndef double(x): return 0",
    "import sys\nsys.excepthook = sys.unraisablehook = lambda *a: None\nsys.exit = lambda *a: None\ndef double(x): raise ValueError",
    "import warnings, sys\nsys.meta_path.insert(0, type('F', (), {'find_spec': staticmethod(lambda *a: None)}))\nsys.path[:0] = ['.']\nopen('random.py', 'w').write('raise SystemExit(0)')\ndef double(x): return 0",
    "import sys\nsys.stdout = sys.stderr = sys.__stdout__ = None\ndef double(x): return 0",
    "def double(x):\n    import inspect\n    return [f.frame.f_locals.get('expected') for f in inspect.stack()][-1]",
    "class Late(dict):\n    def __eq__(self, other): return True\ndef double(x): return Late()",
    "import resource, os\nresource.setrlimit = lambda *a: None\nos.abort()",
    // Values that compare strangely, or attack whoever rebuilds them.
    "def double(x): return float('nan')",
    "def double(x): return NotImplemented",
    "def double(x): return ...",
    "import unittest.mock\ndef double(x): return unittest.mock.ANY",
    "import unittest.mock\ndef double(x): return unittest.mock.MagicMock()",
    "class Lie:\n    def __call__(self): return 4\n    def __eq__(self, other): return True\ndef double(x): return Lie()",
    "class Lie:\n    def __iter__(self): return self\n    def __next__(self): return 4\n    def __eq__(self, other): return True\ndef double(x): return Lie()",
    "class Lie(int):\n    pass\nLie.__name__ = 'int'; Lie.__module__ = 'builtins'\ndef double(x): return Lie(2 * x)",
    "class Meta(type):\n    def __eq__(self, other): return True\n    def __hash__(self): return hash(int)\nclass Lie(metaclass=Meta):\n    def __eq__(self, other): return True\n    __hash__ = None\ndef double(x): return Lie()",
    "import decimal\nclass Decimal(decimal.Decimal):\n    def __eq__(self, other): return True\ndecimal.Decimal = Decimal\nDecimal.__module__ = 'decimal'\ndef double(x): return Decimal('sNaN')",
    "import enum\nclass E(enum.IntEnum):\n    four = 4\ndef double(x): return E.four",
    "def double(x):\n    r = []\n    r.append(r)\n    return r",
    "def double(x):\n    r = []\n    for _ in range(100000): r = [r]\n    return r",
    "def double(x): return 7 ** 7 ** 7",
    "def double(x):\n    while True: yield 4",
    "def double(x): return iter(int, 1)",
    "def double(x): return eval",
    "class E(Exception):\n    def __str__(self): raise SystemExit\n    @property\n    def args(self): return [object()]\ndef double(x): raise E",
    "class E(ValueError): pass\nE.__mro_entries__ = lambda *a: 1\ndef double(x): raise E('a\\nb\\x1b[31m', object())",
    "def double(x): raise UnicodeDecodeError('a', b'b', 1, 2, 'c')",
    "def double(x): raise ExceptionGroup('g', [ValueError()])",
    "import signal, os\nsignal.raise_signal(9)",
    "import os\nos.kill(os.getppid(), 0)",
    "import os\nfor pid in range(2, 40000):\n    try: os.kill(pid, 0)\n    except OSError: pass\ndef double(x): return 0",
];

#[test]
fn a_test_that_swallows_everything_does_not_help_a_dead_candidate() {
    let swallow = task("f", &["try:\n    f(1)\nexcept:\n    pass", "try:\n    f(2)\nexcept BaseException: pass"]);
    assert_verdict(CodeOutcome::Killed, 0, "exit code 0", &swallow, "import os\ndef f(x): os._exit(0)");
    assert_verdict(CodeOutcome::Failed, 0, "not plain data", &swallow, "def f(x): return object()");
    assert_verdict(CodeOutcome::Raised, 0, "SystemExit", &swallow, "def f(x): raise SystemExit");
}

#[test]
fn an_exception_cannot_end_a_tests_loop_early() {
    let looping = task("f", &["assert all(map(lambda x: f(x) == x, [1, 2]))", "assert [f(x) for x in (1, 2)] == [1, 2]"]);
    assert_verdict(CodeOutcome::Raised, 0, "StopIteration", &looping, "def f(x): raise StopIteration");
}

#[test]
fn a_callback_gives_no_way_into_the_checker() {
    let calling = task("f", &["assert f(lambda x: x + 1, eval, getattr) == 2"]);
    let sources = [
        "def f(g, e, a): return e('__import__(\"sys\").exit(0)')",
        "def f(g, e, a): return e('__import__(\"os\").write(2, b\"passed\")')",
        "def f(g, e, a): return [g(object())]",
        "def f(g, e, a): return a(a(g, '__globals__'), 'clear')()",
        "def f(g, e, a):\n    while True: g(1)",
        "def f(g, e, a): return g(g)",
        "def f(g, e, a): return g('x')",
    ];
    for source in sources {
        let checked = checked(&calling, source);
        assert_ne!(checked.outcome, CodeOutcome::Passed, "{source}");
    }
}

#[test]
fn details_are_one_printable_line() {
    let source = "def double(x): raise ValueError('a\\nb\\x1b[31m\\u0000' + 'c' * 10000)";
    let detail = checked(&double(), source).detail;
    assert!(detail.starts_with("assert double(2) == 4: ValueError: a b"), "{detail}");
    assert!(detail.chars().count() <= 300 && !detail.contains(char::is_control), "{detail}");
}

#[test]
fn checks_run_side_by_side() {
    let verdicts: Vec<CodeOutcome> =
        (0..40).into_par_iter().map(|number| checked(&double(), &format!("def double(x): return x * {}", number % 4)).outcome).collect();
    for (number, verdict) in verdicts.into_iter().enumerate() {
        let expected = if number % 4 == 2 { CodeOutcome::Passed } else { CodeOutcome::Failed };
        assert_eq!(verdict, expected, "{number}");
    }
}

#[test]
fn installed_packages_cannot_be_read() {
    let program = "import os, sysconfig\nfolder = sysconfig.get_path('purelib')\n\
                   for root in {folder, '/usr/lib/python3/dist-packages'}:\n\
                   \x20   for name in ('README.txt', 'pip/__init__.py', 'six.py'):\n\
                   \x20       try: open(os.path.join(root, name)).read()\n\
                   \x20       except OSError: continue\n\
                   \x20       print('read', root, name)\n\
                   import json, decimal, sqlite3, ssl, ctypes.util\nprint('done')";
    let outcome = run(program, &limits());
    assert_eq!((outcome.ending, outcome.stdout.as_str()), (Ending::Exited(0), "done\n"), "{}", outcome.stderr);
}

#[test]
fn no_rename_leaves_a_device_node() {
    let program = "import ctypes, os\nopen('a', 'w').close()\nlibc = ctypes.CDLL(None, use_errno=True)\n\
                   done = libc.syscall(316, -100, b'a', -100, b'b', 4)\nprint(done, os.path.exists('b'))";
    if cfg!(target_arch = "x86_64") {
        assert_eq!(run(program, &limits()).stdout, "-1 False\n");
    }
}

/// Files without a name: removed and open, removed and mapped, and never named.
#[test]
fn files_without_a_name_count() {
    let hold = |take: &str| {
        format!(
            "import mmap, os, time\nheld = []\nfor i in range(40):\n    fd = os.open(*{take})\n    os.write(fd, b'x' * 1000000)\n\
             \x20   {{}}\ntime.sleep(3)\nprint('held', len(held))"
        )
    };
    let named = "('f', os.O_RDWR | os.O_CREAT)";
    for program in [
        hold(named).replace("{}", "os.unlink('f'); held.append(fd)"),
        hold(named).replace("{}", "held.append(mmap.mmap(fd, 4096, mmap.MAP_PRIVATE)); os.unlink('f'); os.close(fd)"),
        hold("('.', os.O_RDWR | os.O_TMPFILE, 0o600)").replace("{}", "held.append(fd)"),
    ] {
        let outcome = run(&program, &limits());
        assert!(!outcome.stdout.contains("held"), "{program}: {:?}", outcome.ending);
    }
}

"""Which system calls a program in the sandbox may not make, as a filter that the kernel reads (seccomp, by libseccomp).

Namespaces and limits leave holes, and these calls are how a program would find them: no process but threads of its own
(so nothing to outlive it, and no way round a limit that counts each process), no memory that no limit counts, no kernel
interface that a computation has no use for. The list follows Flatpak's (common/flatpak-run.c, setup_seccomp).
"""

import ctypes
import errno
import os
import socket

LIBRARY = "libseccomp.so.2"
FORBIDDEN = (
    *("fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"),
    *("shmget", "msgget", "semget", "mq_open", "memfd_create", "memfd_secret", "userfaultfd"),
    *("io_uring_setup", "bpf", "perf_event_open", "fanotify_init", "syslog", "acct", "quotactl", "personality"),
    *("add_key", "keyctl", "request_key", "modify_ldt", "uselib", "name_to_handle_at", "open_by_handle_at"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "mount_setattr", "open_tree", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "swapon", "reboot", "kexec_load", "init_module", "finit_module"),
)
ALLOW = 0x7FFF0000
NOT_EQUAL, MASKED_EQUAL = 1, 7
CLONE_THREAD = 0x00010000


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp: `argument` of the call is compared with `first`; MASKED_EQUAL has the mask there."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def refused_calls() -> bytes:
    """The filter, as bubblewrap's --seccomp takes it: what is forbidden fails with EPERM.

    A process is a `clone` without CLONE_THREAD. What `clone3` asks for no filter can see; it is not there (ENOSYS), and
    the C library asks `clone` instead. Sockets are those of the program with itself (AF_UNIX), for a network namespace
    holds no others back: AF_VSOCK leads to the host of a virtual machine.

    Raises:
        OSError: without libseccomp.
    """
    library = ctypes.CDLL(LIBRARY, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    kernel = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))

    def refuse(name: str, problem: int, *comparisons: _Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # a call that is younger than this library
            return
        compared = (_Comparison * len(comparisons))(*comparisons)
        answer = ctypes.c_uint32(0x00050000 | problem)
        if failed := library.seccomp_rule_add_array(kernel, answer, number, len(comparisons), compared):
            raise OSError(-failed, f"{LIBRARY} takes no rule for {name}")

    for name in FORBIDDEN:
        refuse(name, errno.EPERM)
    refuse("clone", errno.EPERM, _Comparison(0, MASKED_EQUAL, CLONE_THREAD, 0))
    refuse("clone3", errno.ENOSYS)
    refuse("socket", errno.EPERM, _Comparison(0, NOT_EQUAL, socket.AF_UNIX, 0))
    written = os.memfd_create("filter")
    try:
        if failed := library.seccomp_export_bpf(kernel, written):
            raise OSError(-failed, f"{LIBRARY} writes no filter")
        os.lseek(written, 0, os.SEEK_SET)
        return os.read(written, 1 << 16)
    finally:
        library.seccomp_release(kernel)
        os.close(written)

/*
 * Preloaded into user-mode-linux by uml-peer.ts, only where the guest dies without it: on processors whose extended
 * register state is larger than the 2696 bytes this program knows of (AMX and later). PTRACE_SETREGSET refuses a short
 * image; here it gets what it misses from the process itself, so the registers it does hold are all kept.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define LARGEST 65536
/* Offset of the header in the image: its first word says which features are not in their initial state. */
#define FEATURES 512
/* x87, SSE, AVX, MPX, AVX-512, PKRU: what lies within the first 2696 bytes. */
#define KNOWN_FEATURES 0x2ffull

typedef long ptrace_function(enum __ptrace_request, ...);

static long set_registers(ptrace_function *next, pid_t pid, struct iovec *given)
{
	static uint8_t image[LARGEST];
	struct iovec whole = { .iov_base = image, .iov_len = sizeof image };
	uint64_t present, known;

	if (next(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole) < 0)
		return -1;
	if (given->iov_len >= whole.iov_len)
		return next(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, given);
	memcpy(&present, image + FEATURES, sizeof present);
	memcpy(image, given->iov_base, given->iov_len);
	memcpy(&known, image + FEATURES, sizeof known);
	known = (known & KNOWN_FEATURES) | (present & ~KNOWN_FEATURES);
	memcpy(image + FEATURES, &known, sizeof known);
	return next(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_function *next;
	va_list arguments;
	pid_t pid;
	void *address, *data;

	va_start(arguments, request);
	pid = va_arg(arguments, pid_t);
	address = va_arg(arguments, void *);
	data = va_arg(arguments, void *);
	va_end(arguments);
	if (next == NULL)
		next = (ptrace_function *)dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_SETREGSET && (uintptr_t)address == NT_X86_XSTATE)
		return set_registers(next, pid, data);
	return next(request, pid, address, data);
}

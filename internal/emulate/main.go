//go:build linux && amd64

// Command emulate runs a program on a machine that lacks AMX or AVX-VNNI and carries out these instructions for it, one by one, as
// Intel's manual defines them. It is for tests: a program built with the tag qpt_emulated believes that the machine has both
// levels (internal/cpu), so that their kernels run, and their tests, wherever AVX-512 with BF16 is:
//
//	go build -o emulate ./internal/emulate
//	go test -tags qpt_emulated -exec "$PWD/emulate" ./kernels/linear
//
// It says nothing about speed: an instruction of AMX costs some microseconds. It traces the program (ptrace) with all its threads
// and what they start. A tile instruction, which the processor does not know, stops the thread, is done here on the thread's
// registers and memory, and passed over; one of AVX-VNNI becomes a jump to the same in the encoding of AVX-512.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// levels names the environment variable that says which levels the program is to find.
const levels = "QPT_EMULATED"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: emulate PROGRAM [ARGUMENT ..]")
		os.Exit(2)
	}
	t := tracer{map[int]*thread{}, map[int]*area{}, map[string]int{}}
	code, err := t.run(os.Args[1:])
	fmt.Fprintln(os.Stderr, "emulate: instructions carried out:", t.count)
	if err != nil {
		fmt.Fprintln(os.Stderr, "emulate: error:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// tracer holds the threads that are traced.
type tracer struct {
	threads map[int]*thread
	areas   map[int]*area // by process
	count   map[string]int
}

type thread struct {
	id    int
	tiles tiles
	begun bool                   // its first stop has been seen
	code  map[uint64]instruction // what has been decoded; op empty: not to be emulated
}

// run runs a program to its end and returns its exit status.
func (t *tracer) run(args []string) (int, error) {
	runtime.LockOSThread() // only the thread that began may trace
	// All on one processor: quicker, since they take turns, and what patch needs.
	var one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &one); err != nil {
		return 0, err
	}
	for i := 0; one.Count() > 1; i++ {
		one.Clear(i)
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return 0, err
	}
	cmd := exec.Command(args[0], args[1:]...)
	if os.Getenv(levels) == "" {
		cmd.Env = append(os.Environ(), levels+"=amx,avxvnni")
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	first := cmd.Process.Pid
	var status unix.WaitStatus
	if _, err := unix.Wait4(first, &status, 0, nil); err != nil {
		return 0, err
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
		unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(first, options); err != nil {
		return 0, err
	}
	th := &thread{id: first, begun: true}
	t.threads[first] = th
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(first, &regs); err != nil {
		return 0, err
	}
	if err := th.load(regs.Rip, make([]byte, 1)); err != nil { // where tracing is allowed, and this is not
		return 0, err
	}
	if err := unix.PtraceCont(first, 0); err != nil {
		return 0, err
	}
	for {
		id, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if status.Exited() || status.Signaled() {
			delete(t.threads, id)
			delete(t.areas, id)
			if id != first {
				continue
			}
			if status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return status.ExitStatus(), nil
		}
		signal, err := t.stopped(id, status)
		if err != nil {
			return 0, err
		}
		// A thread may have ended since.
		if err := unix.PtraceCont(id, int(signal)); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
	}
}

// stopped deals with a stop of a thread and returns the signal to go on with.
func (t *tracer) stopped(id int, status unix.WaitStatus) (unix.Signal, error) {
	th := t.threads[id]
	if th == nil {
		th = &thread{id: id}
		t.threads[id] = th
	}
	signal := status.StopSignal()
	switch {
	case signal == unix.SIGTRAP && status.TrapCause() != 0:
		if status.TrapCause() == unix.PTRACE_EVENT_EXEC {
			th.code = nil
			delete(t.areas, id)
		}
		return 0, nil // it began a thread or a process, or runs another program
	case signal == unix.SIGSTOP && !th.begun:
		th.begun = true
		return 0, nil
	case signal == unix.SIGILL:
		done, err := t.emulate(th)
		if err != nil {
			return 0, err
		}
		if done {
			return 0, nil
		}
	}
	return signal, nil
}

// emulate carries out the instructions from where the thread stands up to the first that the processor may know.
func (t *tracer) emulate(th *thread) (done bool, err error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(th.id, &regs); err != nil {
		return false, err
	}
	for {
		in := th.fetch(regs.Rip)
		if in.op == "" {
			break
		}
		at := regs.Rip
		regs.Rip += uint64(in.length)
		if err := th.do(in, &regs); err != nil {
			return false, fmt.Errorf("%s at %#x: %w", in.op, at, err)
		}
		done = true
		t.count[string(in.op)]++
	}
	if done {
		return true, unix.PtraceSetRegs(th.id, &regs)
	}
	var code [16]byte
	if n, _ := th.vm(unix.ProcessVMReadv, code[:], regs.Rip, len(code), 0); n > 0 && vpdpbusd(code[:n]) {
		t.count["VPDPBUSD, places"]++
		return true, t.patch(th, regs)
	}
	return false, nil
}

// fetch decodes the instruction at an address; its op is empty where it is not to be emulated.
func (th *thread) fetch(at uint64) instruction {
	in, known := th.code[at]
	if !known {
		var code [16]byte
		n, _ := th.vm(unix.ProcessVMReadv, code[:], at, len(code), 0) // fewer at the end of what is mapped
		in = decode(code[:max(n, 0)])
		if th.code == nil {
			th.code = map[uint64]instruction{}
		}
		th.code[at] = in
	}
	return in
}

// do carries out an instruction; regs.Rip is behind it.
func (th *thread) do(in instruction, regs *unix.PtraceRegs) error {
	t := &th.tiles
	switch in.op {
	case ldtilecfg:
		var c [64]byte
		if err := th.load(in.address(regs), c[:]); err != nil {
			return err
		}
		return t.configure(c)
	case sttilecfg:
		return th.store(in.address(regs), t.config[:])
	case tilerelease:
		*t = tiles{}
		return nil
	case tilezero:
		t.data[in.reg] = [16][64]byte{}
		return t.check(in.reg)
	case tileloadd, tilestored:
		if err := t.check(in.reg); err != nil {
			return err
		}
		stride := uint64(0)
		if in.index >= 0 {
			stride = general(regs, in.index) << log2(in.scale)
		}
		in.index = -1
		at, rows, columns := in.address(regs), t.rows(in.reg), t.columns(in.reg)
		if in.op == tileloadd {
			t.data[in.reg] = [16][64]byte{}
		}
		var packed [16 * 64]byte
		part := packed[:rows*columns]
		if in.op == tilestored {
			for r := range rows {
				copy(part[r*columns:], t.data[in.reg][r][:columns])
			}
			return th.move(unix.ProcessVMWritev, part, at, columns, stride)
		}
		if err := th.move(unix.ProcessVMReadv, part, at, columns, stride); err != nil {
			return err
		}
		for r := range rows {
			copy(t.data[in.reg][r][:], part[r*columns:(r+1)*columns])
		}
		return nil
	}
	return t.multiply(in.op, in.reg, in.rm, in.vex)
}

// address is where the operand in memory lies.
func (in instruction) address(regs *unix.PtraceRegs) uint64 {
	at := uint64(in.disp)
	if in.relative {
		at += regs.Rip
	}
	if in.base >= 0 {
		at += general(regs, in.base)
	}
	if in.index >= 0 {
		at += general(regs, in.index) << log2(in.scale)
	}
	return at
}

func log2(scale int) int {
	n := 0
	for ; scale > 1; scale >>= 1 {
		n++
	}
	return n
}

// general is a general register by its number in instructions.
func general(r *unix.PtraceRegs, n int) uint64 {
	return [...]uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi,
		r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}[n]
}

// load and store move one run of bytes.
func (th *thread) load(at uint64, b []byte) error {
	return th.move(unix.ProcessVMReadv, b, at, len(b), 0)
}

func (th *thread) store(at uint64, b []byte) error {
	return th.move(unix.ProcessVMWritev, b, at, len(b), 0)
}

// mover is ProcessVMReadv or ProcessVMWritev.
type mover func(id int, local []unix.Iovec, remote []unix.RemoteIovec, flags uint) (int, error)

// move moves the bytes of b from or to rows of the thread's memory that lie stride bytes apart; all or an error.
func (th *thread) move(how mover, b []byte, at uint64, row int, stride uint64) error {
	if n, err := th.vm(how, b, at, row, stride); err != nil || n != len(b) {
		return fmt.Errorf("rows of %d bytes, %#x apart, at %#x: not all of them can be reached", row, stride, at)
	}
	return nil
}

// vm is move that says how many bytes were moved.
func (th *thread) vm(how mover, b []byte, at uint64, row int, stride uint64) (int, error) {
	var rows [16]unix.RemoteIovec
	n := len(b) / row
	for i := range n {
		rows[i] = unix.RemoteIovec{Base: uintptr(at + uint64(i)*stride), Len: row}
	}
	return how(th.id, []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}, rows[:n], 0)
}

//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// area is memory of a process for instructions in another encoding, within reach of a jump.
type area struct{ next, end uint64 }

const areaSize = 1 << 20

// patch puts a jump in the place of a VEX-encoded VPDPBUSD where the thread stands: to the same in EVEX, which AVX-512 machines know,
// and back. No other thread runs meanwhile, since all share one processor with the tracer.
func (t *tracer) patch(th *thread, regs unix.PtraceRegs) error {
	group, err := th.group()
	if err != nil {
		return err
	}
	a := t.areas[group]
	if a == nil || a.end-a.next < 32 {
		if a, err = th.allocate(group, regs); err != nil {
			return err
		}
		t.areas[group] = a
	}
	var code [16]byte
	if _, err := unix.PtracePeekText(th.id, uintptr(regs.Rip), code[:]); err != nil {
		return err
	}
	moved, length := evex(code[:], a.next-regs.Rip)
	moved = append(moved, jump(a.next+uint64(len(moved)), regs.Rip+uint64(length))...)
	if _, err := unix.PtracePokeText(th.id, uintptr(a.next), moved); err != nil {
		return err
	}
	_, err = unix.PtracePokeText(th.id, uintptr(regs.Rip), jump(regs.Rip, a.next))
	a.next += uint64(len(moved))
	return err
}

// jump is JMP of five bytes, at one address to another.
func jump(at, to uint64) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(to-at-5))
}

// vpdpbusd tells whether code begins with the VEX-encoded instruction.
func vpdpbusd(code []byte) bool {
	return len(code) > 5 && code[0] == 0xc4 && code[1]&31 == 2 && code[2]&0x83 == 1 && code[3] == 0x50
}

// evex encodes a VEX-encoded VPDPBUSD anew, to be run so many bytes further on, and returns the length of the old one.
func evex(code []byte, further uint64) (moved []byte, length int) {
	moved = []byte{0x62, code[1]&0xe0 | 0x12, code[2]&0x78 | 5, code[2]&4<<3 | 8, 0x50, code[4]}
	mod, low := code[4]>>6, code[4]&7
	length = 5
	if mod == 3 {
		return moved, length
	}
	base := low
	if low == 4 {
		base = code[5] & 7
		moved = append(moved, code[5])
		length++
	}
	var disp uint32
	switch {
	case mod == 1:
		disp = uint32(int32(int8(code[length])))
		moved[5] += 1 << 6 // of four bytes: EVEX counts one byte in vectors
		length++
	case mod == 2 || base == 5:
		disp = binary.LittleEndian.Uint32(code[length:])
		length += 4
		if mod == 0 && low == 5 { // relative to what follows
			disp -= uint32(further) + uint32(len(moved)+4-length)
		}
	default:
		return moved, length
	}
	return binary.LittleEndian.AppendUint32(moved, disp), length
}

// group is the process of the thread.
func (th *thread) group() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", th.id))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	var id int
	_, err = fmt.Sscan(rest, &id)
	return id, err
}

// allocate lets the thread map memory near the place where it stands.
func (th *thread) allocate(group int, regs unix.PtraceRegs) (*area, error) {
	var old [2]byte
	at := uintptr(regs.Rip)
	if _, err := unix.PtracePeekText(th.id, at, old[:]); err != nil {
		return nil, err
	}
	if _, err := unix.PtracePokeText(th.id, at, []byte{0x0f, 0x05}); err != nil { // SYSCALL
		return nil, err
	}
	call := regs
	call.Rax, call.Orig_rax = unix.SYS_MMAP, ^uint64(0)
	call.Rdi, call.Rsi, call.Rdx = (regs.Rip+1<<29)&^(1<<20-1), areaSize, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC
	call.R10, call.R8, call.R9 = unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0
	if err := unix.PtraceSetRegs(th.id, &call); err != nil {
		return nil, err
	}
	var status unix.WaitStatus
	var early []unix.Signal
	for stepped := false; !stepped; {
		if err := unix.PtraceSingleStep(th.id); err != nil {
			return nil, err
		}
		if _, err := unix.Wait4(th.id, &status, unix.WALL, nil); err != nil {
			return nil, err
		}
		if stepped = status.StopSignal() == unix.SIGTRAP; !stepped {
			early = append(early, status.StopSignal())
		}
	}
	if err := unix.PtraceGetRegs(th.id, &call); err != nil {
		return nil, err
	}
	if int64(call.Rax-regs.Rip) != int64(int32(call.Rax-regs.Rip)) {
		return nil, fmt.Errorf("no memory near %#x: mmap gave %#x", regs.Rip, call.Rax)
	}
	if _, err := unix.PtracePokeText(th.id, at, old[:]); err != nil {
		return nil, err
	}
	for _, signal := range early {
		if err := unix.Tgkill(group, th.id, signal); err != nil {
			return nil, err
		}
	}
	return &area{call.Rax, call.Rax + areaSize}, unix.PtraceSetRegs(th.id, &regs)
}

//go:build !purego

package cpu

import "golang.org/x/sys/unix"

const (
	xcr0Tiles = 1<<17 | 1<<18 // XTILECFG and XTILEDATA state enabled by the system

	archReqXcompPerm  = 0x1023 // ARCH_REQ_XCOMP_PERM of asm/prctl.h
	xfeatureXtileData = 18
)

// permitAMX asks the kernel for the tile registers, for all threads of the
// process, present and future. Without it the first tile load dies of SIGILL,
// which Go cannot recover. It takes 1-3 us and is needed once.
func permitAMX() bool {
	if xgetbv0()&xcr0Tiles != xcr0Tiles {
		return false
	}
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, archReqXcompPerm, xfeatureXtileData, 0)
	return errno == 0
}

// xgetbv0 returns the low half of XCR0; needs OSXSAVE.
func xgetbv0() uint32

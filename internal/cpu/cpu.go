// Package cpu tells which instruction sets the machine has and which of them
// the process may use.
//
// Detection runs once, at start-up: feature bits only, never the model number
// or an AVX10 version. Active is what kernels ask at every call; it starts at
// the best level of the machine or at the environment variable QPT_ISA, and
// Use (the --isa flag) and SetMax (tests) change it.
package cpu

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// ISA is one level of the kernel ladder. A level includes what the kernels of
// the lower levels need; AVXVNNI is the one exception (see Has).
type ISA uint8

// The ladder, lowest first.
const (
	Generic ISA = iota // plain Go
	AVX2               // AVX2 + FMA + F16C
	AVXVNNI            // AVX2 + VEX-encoded VPDPBUSD (client parts without AVX-512)
	AVX512             // AVX-512 F/BW/VL/DQ + VNNI
	AMX                // AVX512 + AMX-TILE/INT8/BF16 + AVX512-BF16, permitted by the kernel
)

// EnvISA names the environment variable that sets the starting level.
const EnvISA = "QPT_ISA"

// Errors of Use and Err.
var (
	ErrUnknown = errors.New("unknown instruction set")             // a usage error
	ErrLacking = errors.New("this machine lacks the instructions") // unsupported CPU
)

var names = [...]string{"generic", "avx2", "avxvnni", "avx512", "amx"}

func (isa ISA) String() string {
	if int(isa) < len(names) {
		return names[isa]
	}
	return fmt.Sprintf("isa(%d)", uint8(isa))
}

// ParseISA is the inverse of String; upper and lower case are the same.
func ParseISA(s string) (ISA, error) {
	for i, name := range names {
		if strings.EqualFold(s, name) {
			return ISA(i), nil
		}
	}
	return Generic, fmt.Errorf("%w %q: must be one of %s", ErrUnknown, s, strings.Join(names[:], ", "))
}

// has is what the machine offers, by level; written by init alone.
var has [len(names)]bool

// active is the level in use, always one with has[active].
var active atomic.Uint32

// envErr is what was wrong with QPT_ISA.
var envErr error

func init() {
	has = detect()
	has[Generic] = true
	SetMax(AMX)
	if name := os.Getenv(EnvISA); name != "" {
		if err := Use(name); err != nil {
			envErr = fmt.Errorf("environment variable %s: %w", EnvISA, err)
		}
	}
}

// Has tells whether the machine has a level, whatever the active one is. The
// levels include each other but for AVXVNNI: server parts with AVX-512 before
// Sapphire Rapids lack it.
func Has(isa ISA) bool { return int(isa) < len(has) && has[isa] }

// HasBF16 tells whether the machine has products of bfloat16 (AVX512_BF16) beside the level AVX512.
func HasBF16() bool { return has[AVX512] && detectBF16() }

// HasVBMI tells whether the machine has tables of bytes (AVX512_VBMI) beside the level AVX512.
func HasVBMI() bool { return has[AVX512] && detectVBMI() }

// Detected returns the best level of the machine.
func Detected() ISA { return best(AMX) }

// best returns the highest level of the machine that is not above limit.
func best(limit ISA) ISA {
	for isa := min(limit, AMX); isa > Generic; isa-- {
		if has[isa] {
			return isa
		}
	}
	return Generic
}

// Active returns the level kernels are to use; an atomic load, cheap enough
// for every kernel call. Has(Active()) always holds.
func Active() ISA { return ISA(active.Load()) }

// SetMax makes the active level the best one of the machine that is not above
// limit and returns a function that undoes it. Callers that need exactly that
// level check Has first. It must not run beside kernels whose level matters.
func SetMax(limit ISA) (restore func()) {
	old := active.Swap(uint32(best(limit)))
	return func() { active.Store(old) }
}

// Use makes the named level the active one. An unknown name gives ErrUnknown,
// a level that the machine lacks ErrLacking; both leave the level as it was.
func Use(name string) error {
	isa, err := ParseISA(name)
	if err != nil {
		return err
	}
	if !Has(isa) {
		return fmt.Errorf("%w of %s: its best level is %s", ErrLacking, isa, Detected())
	}
	SetMax(isa)
	return nil
}

// Err returns what was wrong with QPT_ISA at start-up (wrapping ErrUnknown or
// ErrLacking), or nil. The level is then as if it had not been set.
func Err() error { return envErr }

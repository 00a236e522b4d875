//go:build !qpt_emulated

package cpu

// emulates tells whether the program runs under internal/emulate.
func emulates(ISA) bool { return false }

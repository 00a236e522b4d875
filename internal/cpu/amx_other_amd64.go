//go:build !linux && !purego

package cpu

// permitAMX knows only Linux's way of asking for the tile registers.
func permitAMX() bool { return false }
